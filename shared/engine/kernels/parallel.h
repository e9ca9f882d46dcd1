// Work split over TensorFlow's own threads.
//
// Every sum is made of sums over fixed pieces, added in a fixed order: results do not depend on how many threads
// there are or who does what.
#ifndef FUNMATCH_KERNELS_PARALLEL_H_
#define FUNMATCH_KERNELS_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"
#include "tensorflow/core/platform/denormal.h"

namespace funmatch {

inline int Threads(tensorflow::OpKernelContext* context) {
  return context->device()->tensorflow_cpu_worker_threads()->num_threads;
}

// Tells the core that its thread waits in a loop.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Calls work(i) for i in [0, total), in any order and at once. The calling thread takes part, and whoever is free takes
// the next piece. TensorFlow's own ParallelFor hands everything to its pool and sleeps: two wake-ups for each
// operation, and on a busy machine a wait for a thread that has not begun. Subnormal numbers are zero, as in the pool.
inline void ForEach(tensorflow::OpKernelContext* context, int64_t total, const std::function<void(int64_t)>& work) {
  const tensorflow::port::ScopedFlushDenormal flush;
  const int64_t threads = std::min<int64_t>(Threads(context), total);
  if (threads <= 1) {
    for (int64_t i = 0; i < total; ++i) work(i);
    return;
  }
  struct Shared {
    std::atomic<int64_t> taken{0};
    std::atomic<int64_t> done{0};
    std::mutex mutex;
    std::condition_variable all_done;
  };
  // Outlives this call: a thread may come when everything is taken, and must find that out.
  const auto shared = std::make_shared<Shared>();
  const int64_t piece = std::max<int64_t>(1, total / (8 * threads));
  const auto* given = &work;  // alive as long as a piece is not done
  const auto take = [shared, given, total, piece] {
    for (int64_t begin = shared->taken.fetch_add(piece); begin < total; begin = shared->taken.fetch_add(piece)) {
      const int64_t end = std::min(total, begin + piece);
      for (int64_t i = begin; i < end; ++i) (*given)(i);
      if (shared->done.fetch_add(end - begin) + end - begin < total) continue;
      const std::lock_guard<std::mutex> lock(shared->mutex);
      shared->all_done.notify_one();
    }
  };
  auto* workers = context->device()->tensorflow_cpu_worker_threads()->workers;
  for (int64_t i = 1; i < threads; ++i) workers->Schedule(take);
  take();
  // The others are nearly done: to look on for some microseconds is quicker than to sleep and be woken.
  for (int looks = 0; looks < 1000 && shared->done.load() != total; ++looks) Pause();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->done.load() == total; });
}

// [0, size) in pieces of at most `piece`.
struct Pieces {
  int64_t size;
  int64_t piece;
  int64_t count() const { return (size + piece - 1) / piece; }
  int64_t begin(int64_t index) const { return index * piece; }
  int64_t end(int64_t index) const { return std::min(size, (index + 1) * piece); }
};

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_PARALLEL_H_
