// How GroupNorm and its gradient go through a tensor.
//
// x is [N, H, W, C] and each image's group of C / groups channels has one mean and variance. Sums are taken over pieces
// of an image in float, and over pieces in double. An image is done from beginning to end by one thread, while it is in
// that thread's cache; where there are fewer images than threads, the pieces of all images are shared out instead. Both
// ways compute the same bits.
#ifndef FUNMATCH_KERNELS_GROUP_NORM_H_
#define FUNMATCH_KERNELS_GROUP_NORM_H_

#include "operation.h"

namespace funmatch {

// Elements of a piece: 64 KB of float, which stays in the nearest cache.
constexpr int64_t kPieceElements = 16384;

struct Sizes {
  int64_t images;
  int64_t positions;
  int64_t channels;
  int64_t groups;
  Pieces pieces() const { return {positions, std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, channels))}; }
  int64_t group_channels() const { return channels / groups; }
};

inline Sizes SizesOf(const Tensor& x, int64_t groups) {
  return {x.dim_size(0), x.dim_size(1) * x.dim_size(2), x.dim_size(3), groups};
}

inline tensorflow::Status Check(const Tensor& x, const Tensor& scale, const Tensor& bias, int64_t groups) {
  if (x.dims() != 4) return InvalidArgument("x must be [N, H, W, C], not ", x.shape().DebugString());
  if (groups <= 0 || x.dim_size(3) % groups != 0)
    return InvalidArgument("the ", x.dim_size(3), " channels do not divide into ", groups, " groups");
  for (const Tensor* vector : {&scale, &bias})
    if (vector->NumElements() != x.dim_size(3))
      return InvalidArgument("scale and bias need ", x.dim_size(3), " elements, not ", vector->NumElements());
  return absl::OkStatus();
}

// Runs first(image, piece) for every piece, then middle(image), then last(image, piece), in this order for each image.
template <typename First, typename Middle, typename Last>
void PerImage(OpKernelContext* context, const Sizes& sizes, const First& first, const Middle& middle,
              const Last& last) {
  const int64_t pieces = sizes.pieces().count();
  if (sizes.images >= Threads(context)) {
    ForEach(context, sizes.images, [&](int64_t image) {
      for (int64_t piece = 0; piece < pieces; ++piece) first(image, piece);
      middle(image);
      // Backwards: what was read last is still near.
      for (int64_t piece = pieces - 1; piece >= 0; --piece) last(image, piece);
    });
    return;
  }
  ForEach(context, sizes.images * pieces, [&](int64_t i) { first(i / pieces, i % pieces); });
  for (int64_t image = 0; image < sizes.images; ++image) middle(image);
  ForEach(context, sizes.images * pieces, [&](int64_t i) { last(i / pieces, i % pieces); });
}

// The norm of one image as y = x * a + b for each channel.
inline void Affine(const Sizes& sizes, const float* mean, const float* inverse, const float* scale, const float* bias,
            float* a, float* b) {
  for (int64_t c = 0; c < sizes.channels; ++c) {
    const int64_t group = c / sizes.group_channels();
    a[c] = inverse[group] * scale[c];
    b[c] = __builtin_fmaf(-mean[group], a[c], bias[c]);
  }
}

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_GROUP_NORM_H_
