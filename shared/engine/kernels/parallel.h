// Work split over TensorFlow's own threads.
//
// Every sum is made of sums over fixed pieces, added in a fixed order: results do not depend on how many threads
// there are or who does what.
#ifndef FUNMATCH_KERNELS_PARALLEL_H_
#define FUNMATCH_KERNELS_PARALLEL_H_

#include <algorithm>
#include <cstdint>
#include <functional>

#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace funmatch {

inline int Threads(tensorflow::OpKernelContext* context) {
  return context->device()->tensorflow_cpu_worker_threads()->num_threads;
}

// Calls work(i) for i in [0, total), in any order and at once. A few pieces for each thread, so that one that is held
// up elsewhere does not hold up the rest.
inline void ForEach(tensorflow::OpKernelContext* context, int64_t total, const std::function<void(int64_t)>& work) {
  using tensorflow::thread::ThreadPool;
  const int64_t pieces = 4 * static_cast<int64_t>(Threads(context));
  const auto range = [&work](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(i);
  };
  if (total <= 1 || Threads(context) == 1) return range(0, total);
  const ThreadPool::SchedulingParams blocks(ThreadPool::SchedulingStrategy::kFixedBlockSize, std::nullopt,
                                            std::max<int64_t>(1, total / pieces));
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(total, blocks, range);
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
