// 3x3 convolutions of stride 1 that keep the image's size, and their gradients, by Winograd's F(4x4, 3x3).
//
// Every tile becomes 36 planes of numbers, and each plane is a matrix product of its own: tiles x channels by channels x
// outputs, or, for the gradient by the kernel, channels x tiles by tiles x outputs. The gradient by the input is the
// convolution of dy with the kernel turned by 180 degrees. The transformed kernels are four times as large as the
// kernels, so that what is transformed is multiplied while it is in the cache: a group of tiles after another where
// there are many and the kernels are small, else a group of outputs after another.
#ifndef FUNMATCH_KERNELS_CONV_WINOGRAD_H_
#define FUNMATCH_KERNELS_CONV_WINOGRAD_H_

#include "conv_patches.h"
#include "conv_winograd_tile.h"

namespace funmatch {
namespace winograd {

inline Tiles TilesOf(const Convolution& conv) { return {conv.images, conv.height, conv.width}; }

// True for what this file computes, where it also takes fewer products: not on maps smaller than most of a tile.
inline bool Suits(const Convolution& conv) {
  return conv.side == 3 && conv.stride == 1 && conv.pad == 1 && conv.channels % kLanes == 0 &&
         conv.outputs % kLanes == 0 && conv.height > 0 && conv.width > 0 &&
         2 * kPlanes * TilesOf(conv).count() <= 9 * conv.images * conv.height * conv.width;
}

// A kernel [3, 3, C, O]; turned, it takes O channels to C outputs. Packed, it is [O / kColumns, C, 9, kColumns] with
// zeros beyond the last output: read along the memory, where nine taps of few outputs each lie in as many pages.
struct Kernel {
  const float* weights;
  int64_t channels, outputs;
  bool turned, packed;
  int64_t ins() const { return turned ? outputs : channels; }
  int64_t outs() const { return turned ? channels : outputs; }

  // Inputs [c, c + terms), outputs [j, j + kColumns), as planes of [terms][kColumns] that are `apart` apart.
  void Write(int64_t c, int64_t terms, int64_t j, float* to, int64_t apart) const {
    if (packed) {
      for (int64_t k = 0; k < terms; ++k)
        for (int half = 0; half < kColumns; half += kLanes)
          WriteOne(weights + (j * channels + (c + k) * kColumns) * 9 + half, kColumns, to + k * kColumns + half, apart);
      return;
    }
    for (int half = 0; half < kColumns; half += kLanes) {
      float* out = to + half;
      if (j + half >= outs()) {
        for (int p = 0; p < kPlanes; ++p)
          for (int64_t k = 0; k < terms; ++k) SaveLanes(Lanes{}, out + p * apart + k * kColumns);
      } else if (turned) {
        for (int64_t k = 0; k < terms; k += kLanes) {
          alignas(64) float taps[9][kLanes * kLanes];
          for (int tap = 0; tap < 9; ++tap)
            TransposeLanes(weights + (tap * channels + j + half) * outputs + c + k, outputs, taps[8 - tap], kLanes);
          for (int i = 0; i < kLanes; ++i) WriteOne(taps[0] + i * kLanes, kLanes * kLanes, out + (k + i) * kColumns, apart);
        }
      } else {
        for (int64_t k = 0; k < terms; ++k)
          WriteOne(weights + (c + k) * outputs + j + half, channels * outputs, out + k * kColumns, apart);
      }
    }
  }

  int64_t packed_floats() const { return CeilDiv(outputs, kColumns) * kColumns * channels * 9; }

  void Pack(float* to) const {
    for (int64_t j = 0; j < outputs; j += kColumns)
      for (int64_t c = 0; c < channels; ++c)
        for (int tap = 0; tap < 9; ++tap, to += kColumns) {
          const int64_t there = std::min<int64_t>(kColumns, outputs - j);
          CopyNumbers(weights + (tap * channels + c) * outputs + j, there, to);
          std::fill(to + there, to + kColumns, 0.0f);
        }
  }

 private:
  static void WriteOne(const float* from, int64_t tap_apart, float* to, int64_t apart) {
    Lanes g[9], u[kPlanes];
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; ++tap) g[tap] = LoadLanes(from + tap * tap_apart);
    Transform<3, kSpan, FromKernel>(g, u);
    SavePlanes(u, to, apart);
  }
};

// How the work on one product is laid out in memory. Planes are kept a line out of step, for the cache's sets.
struct Plan {
  Tiles tiles;
  int64_t ins, outs;
  int64_t terms() const { return std::min<int64_t>(ins, 128); }
  int64_t chunks() const { return CeilDiv(ins, terms()); }
  int64_t columns() const { return CeilDiv(outs, kColumns); }
  EvenPieces blocks() const { return {tiles.count(), kRows}; }

  int64_t input_plane() const { return kRows * terms() + kLanes; }
  int64_t kernel_plane() const { return terms() * kColumns + kLanes; }
  int64_t output_plane() const { return kRows * kColumns; }
  int64_t input_block() const { return chunks() * kPlanes * input_plane(); }
  int64_t kernel_block() const { return kPlanes * kernel_plane(); }
  int64_t output_block() const { return kPlanes * output_plane(); }

  // Transform all kernels first, then go through the tiles? Else all tiles first.
  bool kernels_first() const { return ins * outs <= 128 * 128 && blocks().count() >= 8; }
  // Floats that are kept for all threads to read.
  int64_t shared() const {
    return kernels_first() ? columns() * chunks() * kernel_block() : blocks().count() * input_block();
  }
};

// The tiles of a block, as [chunk][plane][tile][terms].
template <typename S>
inline void WriteInputs(const Plan& plan, const S* x, int64_t block, float* to) {
  const int64_t begin = plan.blocks().begin(block), end = plan.blocks().end(block);
  for (int64_t tile = begin; tile < end; ++tile) {
    const Tiles::Place place = plan.tiles.at(tile);
    for (int64_t c = 0; c < plan.ins; c += kLanes) {
      Lanes d[kPlanes], v[kPlanes];
      plan.tiles.Read<kSpan>(x + c, plan.ins, place, 1, d);
      Transform<kSpan, kSpan, FromInput>(d, v);
      const int64_t chunk = c / plan.terms();
      SavePlanes(v, to + chunk * kPlanes * plan.input_plane() + (tile - begin) * plan.terms() + c % plan.terms(),
                 plan.input_plane());
    }
  }
}

// One chunk's products of the blocks [first, last), whose inputs begin at `inputs`.
inline void MultiplyPlanes(const Plan& plan, int64_t chunk, const float* inputs, const float* kernels, int64_t first,
                           int64_t last, float* sums) {
  const int64_t terms = std::min(plan.terms(), plan.ins - chunk * plan.terms());
  for (int p = 0; p < kPlanes; ++p)
    for (int64_t b = first; b < last; ++b)
      TileOf<Left::kRowsApart>(plan.blocks().end(b) - plan.blocks().begin(b), terms,
                               inputs + (b - first) * plan.input_block() + (chunk * kPlanes + p) * plan.input_plane(),
                               plan.terms(), kernels + p * plan.kernel_plane(),
                               sums + (b - first) * plan.output_block() + p * plan.output_plane(), kColumns, chunk > 0);
}

template <typename S>
inline void WriteOutputs(const Plan& plan, const float* sums, int64_t first, int64_t last, int64_t j, S* y) {
  for (int64_t b = first; b < last; ++b) {
    const int64_t begin = plan.blocks().begin(b);
    for (int64_t tile = begin; tile < plan.blocks().end(b); ++tile)
      for (int64_t half = 0; half < kColumns && j + half < plan.outs; half += kLanes) {
        Lanes m[kPlanes], o[kTile * kTile];
        LoadPlanes(sums + (b - first) * plan.output_block() + (tile - begin) * kColumns + half, plan.output_plane(), m);
        Transform<kSpan, kTile, ToOutput>(m, o);
        plan.tiles.Write(o, plan.tiles.at(tile), plan.outs, y + j + half);
      }
  }
}

// y = the convolution of x with the kernel; `shared` holds plan.shared() floats.
template <typename S>
inline void Convolve(const Each& each, const Plan& plan, const S* x, const Kernel& kernel, float* shared, S* y) {
  if (plan.kernels_first()) {
    each(plan.columns() * plan.chunks(), [&](int64_t i) {
      const int64_t c = i % plan.chunks() * plan.terms();
      kernel.Write(c, std::min(plan.terms(), plan.ins - c), i / plan.chunks() * kColumns,
                   shared + i * plan.kernel_block(), plan.kernel_plane());
    });
    // Blocks whose inputs fill about half of the second cache.
    const EvenPieces ranges{plan.blocks().count(), std::max<int64_t>(1, (int64_t{1} << 17) / plan.input_block())};
    each(ranges.count(), [&](int64_t range) {
      const int64_t first = ranges.begin(range), last = ranges.end(range);
      float* inputs = Scratch((last - first) * (plan.input_block() + plan.output_block()));
      float* sums = inputs + (last - first) * plan.input_block();
      for (int64_t b = first; b < last; ++b) WriteInputs(plan, x, b, inputs + (b - first) * plan.input_block());
      for (int64_t column = 0; column < plan.columns(); ++column) {
        for (int64_t chunk = 0; chunk < plan.chunks(); ++chunk)
          MultiplyPlanes(plan, chunk, inputs, shared + (column * plan.chunks() + chunk) * plan.kernel_block(), first,
                         last, sums);
        WriteOutputs(plan, sums, first, last, column * kColumns, y);
      }
    });
    return;
  }
  each(plan.blocks().count(), [&](int64_t b) { WriteInputs(plan, x, b, shared + b * plan.input_block()); });
  const EvenPieces ranges{plan.blocks().count(), 6};
  each(ranges.count() * plan.columns(), [&](int64_t task) {
    const int64_t range = task / plan.columns(), j = task % plan.columns() * kColumns;
    const int64_t first = ranges.begin(range), last = ranges.end(range);
    float* kernels = Scratch(plan.kernel_block() + (last - first) * plan.output_block());
    float* sums = kernels + plan.kernel_block();
    for (int64_t chunk = 0; chunk < plan.chunks(); ++chunk) {
      const int64_t c = chunk * plan.terms();
      kernel.Write(c, std::min(plan.terms(), plan.ins - c), j, kernels, plan.kernel_plane());
      MultiplyPlanes(plan, chunk, shared + first * plan.input_block(), kernels, first, last, sums);
    }
    WriteOutputs(plan, sums, first, last, j, y);
  });
}

}  // namespace winograd
}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_CONV_WINOGRAD_H_
