// Convolutions as matrix products over patches: row m of the left factor is the patch of the input under output pixel
// m. Patches are copied together a block at a time, in the cache; where each is one pixel, the input is the matrix.
// Images are float or bfloat16 (S); the latter become float as they are copied, and sums are rounded when they are whole.
#ifndef FUNMATCH_KERNELS_CONV_PATCHES_H_
#define FUNMATCH_KERNELS_CONV_PATCHES_H_

#include <type_traits>
#include <vector>

#include "conv_tile.h"

namespace funmatch {

// Images [N, H, W, C] under a square kernel [side, side, C, O], padded by `pad` on every side.
struct Convolution {
  int64_t images, height, width, channels;
  int64_t side, stride, pad;
  int64_t outputs;
  int64_t out_height() const { return (height + 2 * pad - side) / stride + 1; }
  int64_t out_width() const { return (width + 2 * pad - side) / stride + 1; }
};

// taps_h x taps_w pixels of an image for each position of a grid; the first at `step` times the position plus first_h,
// first_w. What lies outside the image is zero.
template <typename S>
struct Patches {
  const S* source;
  int64_t images, height, width, channels;
  int64_t grid_h, grid_w, step, first_h, first_w;
  int64_t taps_h, taps_w;

  int64_t rows() const { return images * grid_h * grid_w; }
  int64_t columns() const { return taps_h * taps_w * channels; }
  bool ArePixels() const {
    return taps_h == 1 && taps_w == 1 && step == 1 && first_h == 0 && first_w == 0 && grid_h == height &&
           grid_w == width;
  }

  // Columns [k, k + terms) of the patches [m, m + count), as rows that are `stride` apart.
  void Copy(int64_t m, int64_t count, int64_t k, int64_t terms, float* to, int64_t stride) const {
    const int64_t run = taps_w * channels, line = width * channels;
    const int64_t first_row = k / run, last_row = (k + terms - 1) / run;
    int64_t image = m / (grid_h * grid_w), grid_row = m / grid_w % grid_h, grid_column = m % grid_w;
    for (int64_t r = 0; r < count; ++r, to += stride) {
      const int64_t h0 = grid_row * step + first_h, w0 = grid_column * step + first_w;
      const S* from = source + image * height * line + h0 * line + w0 * channels;
      // Within a row of taps everything that is inside the image lies side by side.
      const int64_t inside_begin = std::max<int64_t>(0, -w0) * channels;
      const int64_t inside_end = std::min(taps_w, width - w0) * channels;
      for (int64_t row = first_row; row <= last_row; ++row) {
        const int64_t begin = row == first_row ? k - row * run : 0;
        const int64_t end = row == last_row ? k + terms - row * run : run;
        float* out = to + row * run - k;
        if (h0 + row < 0 || h0 + row >= height) {
          std::fill(out + begin, out + end, 0.0f);
        } else if (inside_begin <= begin && end <= inside_end) {
          if (taps_w == 1)
            for (int64_t i = begin; i < end; i += kLanes)
              __builtin_prefetch(from + row * line + i + kRowsAhead * step * channels, 0, 2);
          CopyNumbers(from + row * line + begin, end - begin, out + begin);
        } else {
          const int64_t first = std::min(std::max(begin, inside_begin), end);
          const int64_t last = std::max(std::min(end, inside_end), first);
          std::fill(out + begin, out + first, 0.0f);
          CopyNumbers(from + row * line + first, last - first, out + first);
          std::fill(out + last, out + end, 0.0f);
        }
      }
      if (++grid_column < grid_w) continue;
      grid_column = 0;
      if (++grid_row < grid_h) continue;
      grid_row = 0;
      ++image;
    }
  }
};

template <typename S>
inline Patches<S> PatchesOf(const Convolution& conv, const S* x) {
  return {x,           conv.images,       conv.height,      conv.width,  conv.channels, conv.out_height(),
          conv.out_width(), conv.stride, -conv.pad, -conv.pad, conv.side,  conv.side};
}

// Terms of a sum that are taken at once, and the padding that keeps rows out of each other's cache sets.
constexpr int64_t kTerms = 256;
constexpr int64_t kApart = kTerms + kLanes;

// to(m) [0, outputs) = sum over k of patches[m][k] * right[k][0, outputs). `pack` gives right[k, k + terms) of the
// columns [j, end) as [terms][kColumns] for each kColumns of them: where they are so already, or written to `to`.
template <typename S>
inline void MultiplyPatches(const Each& each, int threads, const Patches<S>& patches, int64_t outputs,
                            const std::function<const float*(int64_t k, int64_t terms, int64_t j, int64_t end, float* to)>& pack,
                            const std::function<S*(int64_t m)>& to, bool contiguous) {
  constexpr bool kFloats = std::is_same_v<S, float>;
  const int64_t depth = patches.columns();
  int64_t high = kFloats ? 512 : 256, wide = 256;
  const auto tasks = [&] { return CeilDiv(patches.rows(), high) * CeilDiv(outputs, wide); };
  while (tasks() < 4 * threads && (high > 128 || wide > 64)) {
    if (wide > 64 && outputs > 64) wide /= 2;
    if (tasks() < 4 * threads && high > 128) high /= 2;
    if (outputs <= 64 && high <= 128) break;
  }
  const EvenPieces blocks{patches.rows(), high};
  const int64_t groups = CeilDiv(outputs, wide);
  const bool copied = !kFloats || !patches.ArePixels();
  const bool in_place = kFloats && contiguous;
  each(blocks.count() * groups, [&](int64_t task) {
    const int64_t m = blocks.begin(task / groups), count = blocks.end(task / groups) - m;
    const int64_t begin = task % groups * wide, end = std::min(outputs, begin + wide);
    const int64_t width = in_place ? 0 : CeilDiv(end - begin, kColumns) * kColumns;
    const int64_t right_size = kTerms * CeilDiv(end - begin, kColumns) * kColumns;
    float* right = Scratch(right_size + count * ((copied ? kApart : 0) + width));
    float* copy = right + right_size;
    float* result = copy + (copied ? count * kApart : 0);
    const EvenPieces tiles{count, kRows};
    for (int64_t k = 0; k < depth; k += kTerms) {
      const int64_t terms = std::min(kTerms, depth - k);
      if (copied) patches.Copy(m, count, k, terms, copy, kApart);
      const float* left = copy;
      if constexpr (kFloats)
        if (!copied) left = patches.source + m * depth + k;
      const int64_t stride = copied ? kApart : depth;
      const float* packed = pack(k, terms, begin, end, right);
      for (int64_t j = begin; j < end; j += kColumns) {
        const bool fresh = !copied && j == begin;
        float* c = result + j - begin;
        if constexpr (kFloats)
          if (in_place) c = to(m) + j;
        const int64_t c_stride = in_place ? outputs : width;
        for (int64_t i = 0; i < tiles.count(); ++i) {
          if (fresh && i + 1 < tiles.count())  // the next rows are fetched meanwhile
            for (int64_t r = tiles.begin(i + 1); r < tiles.end(i + 1); ++r)
              for (int64_t t = 0; t < terms; t += kLanes) __builtin_prefetch(left + r * stride + t, 0, 2);
          TileInto<Left::kRowsApart>(tiles.end(i) - tiles.begin(i), in_place ? outputs - j : kColumns, terms,
                                     left + tiles.begin(i) * stride, stride, packed + (j - begin) * terms, c + tiles.begin(i) * c_stride,
                                     c_stride, k > 0);
        }
      }
    }
    if (in_place) return;
    for (int64_t r = 0; r < count; ++r) CopyNumbers(result + r * width, end - begin, to(m + r) + begin);
  });
}

// Floats of a kernel that is packed whole.
inline int64_t PackedPatches(const Convolution& conv) {
  return conv.side * conv.side * conv.channels * CeilDiv(conv.outputs, kColumns) * kColumns;
}

// Packs a kernel whole, as ConvolvePatches reads it.
inline void PackPatches(const Convolution& conv, const float* kernel, float* to) {
  const int64_t depth = conv.side * conv.side * conv.channels, outputs = conv.outputs;
  for (int64_t k = 0; k < depth; k += kTerms)
    PackRows(kernel + k * outputs, outputs, std::min(kTerms, depth - k), outputs,
             to + k * CeilDiv(outputs, kColumns) * kColumns);
}

// `packed`: the kernel is as PackPatches wrote it.
template <typename S>
inline void ConvolvePatches(const Each& each, int threads, const Convolution& conv, const S* x, const float* kernel,
                            bool packed, S* y) {
  const int64_t outputs = conv.outputs, wide = CeilDiv(outputs, kColumns) * kColumns;
  MultiplyPatches<S>(
      each, threads, PatchesOf(conv, x), outputs,
      [&](int64_t k, int64_t terms, int64_t j, int64_t end, float* to) -> const float* {
        if (packed) return kernel + k * wide + j * terms;
        PackRows(kernel + k * outputs + j, outputs, terms, end - j, to);
        return to;
      },
      [&](int64_t m) { return y + m * outputs; }, true);
}

// The gradient by the images. Those of their pixels that see the same taps are done together: all, if the stride is 1.
template <typename S>
inline void ConvolvePatchesByInput(const Each& each, int threads, const Convolution& conv, const S* dy,
                                   const float* kernel, S* dx) {
  const int64_t s = conv.stride, channels = conv.channels, outputs = conv.outputs;
  for (int64_t h = 0; h < std::min(s, conv.height); ++h)
    for (int64_t w = 0; w < std::min(s, conv.width); ++w) {
      const int64_t tap_h = (h + conv.pad) % s, tap_w = (w + conv.pad) % s;
      const int64_t taps_h = CeilDiv(conv.side - tap_h, s), taps_w = CeilDiv(conv.side - tap_w, s);
      const int64_t grid_h = CeilDiv(conv.height - h, s), grid_w = CeilDiv(conv.width - w, s);
      const auto to = [&](int64_t m) {
        const int64_t row = m / grid_w;
        return dx + ((row / grid_h * conv.height + row % grid_h * s + h) * conv.width + m % grid_w * s + w) * channels;
      };
      if (tap_h >= conv.side || tap_w >= conv.side) {
        each(conv.images * grid_h, [&](int64_t row) {
          for (int64_t i = 0; i < grid_w; ++i) std::fill_n(to(row * grid_w + i), channels, S{});
        });
        continue;
      }
      const Patches<S> patches{dy,
                            conv.images,
                            conv.out_height(),
                            conv.out_width(),
                            outputs,
                            grid_h,
                            grid_w,
                            1,
                            (h + conv.pad) / s - (taps_h - 1),
                            (w + conv.pad) / s - (taps_w - 1),
                            taps_h,
                            taps_w};
      const auto pack = [&](int64_t begin, int64_t terms, int64_t j, int64_t end, float* to) -> const float* {
        float* out = to;
        for (; j < end; j += kColumns)
          for (int64_t k = begin; k < begin + terms;) {
            const int64_t tap = k / outputs, o = k % outputs, count = std::min(begin + terms - k, outputs - o);
            const int64_t row = tap_h + s * (taps_h - 1 - tap / taps_w);
            const int64_t column = tap_w + s * (taps_w - 1 - tap % taps_w);
            const float* from = kernel + ((row * conv.side + column) * channels + j) * outputs + o;
            PackColumns(from, outputs, count, channels - j, out);
            out += count * kColumns;
            k += count;
          }
        return to;
      };
      MultiplyPatches<S>(each, threads, patches, channels, pack, to, s == 1);
    }
}

// Slices of the sum over pixels that a small kernel's gradient is made of, so that there is work for several threads;
// `partial` holds all but the first, each as large as the kernel.
inline int64_t KernelSlices(const Convolution& conv) {
  const int64_t pixels = conv.images * conv.out_height() * conv.out_width();
  const int64_t size = conv.side * conv.side * conv.channels * conv.outputs;
  return std::max<int64_t>(1, std::min(pixels / 2048, (int64_t{1} << 18) / size));
}

inline void AddSlices(const Each& each, int64_t size, int64_t slices, const float* partial, float* sum) {
  if (slices <= 1) return;
  const EvenPieces pieces{size, 4096};
  each(pieces.count(), [&](int64_t i) {
    for (int64_t s = 0; s + 1 < slices; ++s)
      for (int64_t j = pieces.begin(i); j < pieces.end(i); ++j) sum[j] += partial[s * size + j];
  });
}

// The gradient by the kernel.
template <typename S>
inline void ConvolvePatchesByKernel(const Each& each, const Convolution& conv, const S* x, const S* dy, float* partial,
                                    float* dkernel) {
  constexpr bool kFloats = std::is_same_v<S, float>;
  const Patches<S> patches = PatchesOf(conv, x);
  const int64_t depth = patches.columns(), outputs = conv.outputs, slices = KernelSlices(conv);
  const EvenPieces rows{depth, kTerms};
  const int64_t wide = 256, groups = CeilDiv(outputs, wide);
  // Rows of the input that are a power of two apart share a few cache sets.
  const bool copied = !kFloats || !patches.ArePixels() || depth >= 512;
  each(slices * rows.count() * groups, [&](int64_t task) {
    const int64_t slice = task / (rows.count() * groups), row = task / groups % rows.count();
    const int64_t k = rows.begin(row), terms = rows.end(row) - k;
    const int64_t begin = task % groups * wide, end = std::min(outputs, begin + wide);
    const int64_t first = patches.rows() * slice / slices, last = patches.rows() * (slice + 1) / slices;
    float* sum = (slice == 0 ? dkernel : partial + (slice - 1) * depth * outputs) + k * outputs;
    float* right = Scratch(kTerms * (wide + kApart));
    float* copy = right + kTerms * wide;
    const EvenPieces tiles{terms, kRows};
    for (int64_t m = first; m < last; m += kTerms) {
      const int64_t count = std::min(kTerms, last - m);
      if (copied) patches.Copy(m, count, k, terms, copy, kApart);
      const float* left = copy;
      if constexpr (kFloats)
        if (!copied) left = patches.source + m * depth + k;
      const int64_t stride = copied ? kApart : depth;
      PackRows(dy + m * outputs + begin, outputs, count, end - begin, right);
      for (int64_t j = begin; j < end; j += kColumns) {
        for (int64_t i = 0; i < tiles.count(); ++i)
          TileInto<Left::kTermsApart>(tiles.end(i) - tiles.begin(i), outputs - j, count, left + tiles.begin(i), stride,
                                      right + (j - begin) * count, sum + tiles.begin(i) * outputs + j, outputs, m > first);
      }
    }
  });
  AddSlices(each, depth * outputs, slices, partial, dkernel);
}

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_CONV_PATCHES_H_
