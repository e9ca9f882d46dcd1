// The gradient of conv_winograd.h's convolutions by their kernel.
#ifndef FUNMATCH_KERNELS_CONV_WINOGRAD_BY_KERNEL_H_
#define FUNMATCH_KERNELS_CONV_WINOGRAD_BY_KERNEL_H_

#include "conv_winograd.h"

namespace funmatch {
namespace winograd {

// Tiles [begin, end) of x and of dy, as [kLanes channels][plane][tile][kLanes] and [kColumns outputs][plane][tile]
// [kColumns]; the sums over tiles are kept as [kLanes channels][kColumns outputs][plane][kLanes][kColumns].
struct KernelPlan {
  Tiles tiles;
  int64_t channels, outputs;
  int64_t groups() const { return channels / kLanes; }
  int64_t columns() const { return CeilDiv(outputs, kColumns); }

  // Small kernels: slices of the tiles, each summed up in a thread's cache. Large ones: all tiles are transformed first.
  bool sliced() const { return channels * outputs <= 64 * 64; }
  EvenPieces slices() const { return {tiles.count(), sliced() ? 128 : tiles.count()}; }
  // Tiles that are transformed at once.
  int64_t span() const { return sliced() ? 24 : tiles.count(); }

  int64_t input_plane() const { return span() * kLanes + kLanes; }
  int64_t output_plane() const { return span() * kColumns + kLanes; }
  int64_t inputs() const { return groups() * kPlanes * input_plane(); }
  int64_t gradients() const { return columns() * kPlanes * output_plane(); }
  int64_t sum_plane() const { return kLanes * kColumns; }
  int64_t sum() const { return kPlanes * sum_plane() + kLanes; }
  int64_t size() const { return 9 * channels * outputs; }
  int64_t shared() const { return sliced() ? (slices().count() - 1) * size() : inputs() + gradients(); }
};

template <typename S>
inline void WriteTiles(const KernelPlan& plan, const S* x, const S* dy, int64_t begin, int64_t end, int64_t first,
                       float* inputs, float* gradients) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const Tiles::Place place = plan.tiles.at(tile);
    for (int64_t c = 0; c < plan.channels; c += kLanes) {
      Lanes d[kPlanes], v[kPlanes];
      plan.tiles.Read<kSpan>(x + c, plan.channels, place, 1, d);
      Transform<kSpan, kSpan, FromInput>(d, v);
      SavePlanes(v, inputs + c / kLanes * kPlanes * plan.input_plane() + (tile - first) * kLanes, plan.input_plane());
    }
    for (int64_t j = 0; j < plan.columns() * kColumns; j += kLanes) {
      Lanes d[kTile * kTile] = {}, v[kPlanes];
      if (j < plan.outputs) plan.tiles.Read<kTile>(dy + j, plan.outputs, place, 0, d);
      Transform<kTile, kSpan, FromOutput>(d, v);
      SavePlanes(v, gradients + j / kColumns * kPlanes * plan.output_plane() + (tile - first) * kColumns + j % kColumns,
                 plan.output_plane());
    }
  }
}

// Adds the products of `count` tiles to the sums of the channel groups [c0, c1) and columns [j0, j1).
inline void MultiplyTiles(const KernelPlan& plan, const float* inputs, const float* gradients, int64_t count,
                          int64_t c0, int64_t c1, int64_t j0, int64_t j1, bool add, float* sums) {
  const int64_t rows = kLanes / 2;
  for (int p = 0; p < kPlanes; ++p)
    for (int64_t t = 0; t < count; t += kTerms)
      for (int64_t j = j0; j < j1; ++j)
        for (int64_t c = c0; c < c1; ++c) {
          const float* left = inputs + (c * kPlanes + p) * plan.input_plane() + t * kLanes;
          const float* right = gradients + (j * kPlanes + p) * plan.output_plane() + t * kColumns;
          float* sum = sums + ((c - c0) * (j1 - j0) + j - j0) * plan.sum() + p * plan.sum_plane();
          for (int64_t half = 0; half < kLanes; half += rows)
            Tile<kLanes / 2, Left::kTermsApart>(std::min(kTerms, count - t), left + half, kLanes, right,
                                                sum + half * kColumns, kColumns, add || t > 0);
        }
}

inline void WriteKernel(const KernelPlan& plan, const float* sums, int64_t c0, int64_t c1, int64_t j0, int64_t j1,
                        float* dkernel) {
  for (int64_t c = c0; c < c1; ++c)
    for (int64_t row = 0; row < kLanes; ++row)
      for (int64_t j = j0 * kColumns; j < std::min(plan.outputs, j1 * kColumns); j += kLanes) {
        const float* from = sums + ((c - c0) * (j1 - j0) + j / kColumns - j0) * plan.sum();
        Lanes m[kPlanes], g[9];
        LoadPlanes(from + row * kColumns + j % kColumns, plan.sum_plane(), m);
        Transform<kSpan, 3, ToKernel>(m, g);
        for (int tap = 0; tap < 9; ++tap)
          SaveLanes(g[tap], dkernel + (tap * plan.channels + c * kLanes + row) * plan.outputs + j);
      }
}

// dkernel [3, 3, C, O]; `shared` holds plan.shared() floats.
template <typename S>
inline void ConvolveByKernel(const Each& each, const KernelPlan& plan, const S* x, const S* dy, float* shared,
                             float* dkernel) {
  const int64_t groups = plan.groups(), columns = plan.columns();
  if (plan.sliced()) {
    const EvenPieces slices = plan.slices();
    each(slices.count(), [&](int64_t slice) {
      float* inputs = Scratch(plan.inputs() + plan.gradients() + groups * columns * plan.sum());
      float* gradients = inputs + plan.inputs();
      float* sums = gradients + plan.gradients();
      const int64_t first = slices.begin(slice), last = slices.end(slice);
      for (int64_t begin = first; begin < last; begin += plan.span()) {
        const int64_t end = std::min(last, begin + plan.span());
        WriteTiles(plan, x, dy, begin, end, begin, inputs, gradients);
        MultiplyTiles(plan, inputs, gradients, end - begin, 0, groups, 0, columns, begin > first, sums);
      }
      WriteKernel(plan, sums, 0, groups, 0, columns, slice == 0 ? dkernel : shared + (slice - 1) * plan.size());
    });
    return AddSlices(each, plan.size(), slices.count(), shared, dkernel);
  }
  float* inputs = shared;
  float* gradients = inputs + plan.inputs();
  const EvenPieces pieces{plan.tiles.count(), 8};
  each(pieces.count(), [&](int64_t i) {
    WriteTiles(plan, x, dy, pieces.begin(i), pieces.end(i), 0, inputs, gradients);
  });
  const EvenPieces down{groups, 2}, across{columns, 2};
  each(down.count() * across.count(), [&](int64_t task) {
    const int64_t i = task / across.count(), k = task % across.count();
    float* sums = Scratch(down.most * across.most * plan.sum());
    MultiplyTiles(plan, inputs, gradients, plan.tiles.count(), down.begin(i), down.end(i), across.begin(k),
                  across.end(k), false, sums);
    WriteKernel(plan, sums, down.begin(i), down.end(i), across.begin(k), across.end(k), dkernel);
  });
}

}  // namespace winograd
}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_CONV_WINOGRAD_BY_KERNEL_H_
