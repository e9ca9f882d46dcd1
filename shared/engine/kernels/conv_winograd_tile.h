// The transforms of Winograd's minimal filtering F(4x4, 3x3): 36 products instead of 144 for each 4x4 tile of outputs.
//
// A. Lavin, S. Gray: Fast Algorithms for Convolutional Neural Networks (arXiv:1509.09308), but with the interpolation
// points 0, +-3/4, +-3/2 and infinity in place of 0, +-1, +-2: the constants of the tiles' transforms are exact in
// binary, and the error is a quarter.
#ifndef FUNMATCH_KERNELS_CONV_WINOGRAD_TILE_H_
#define FUNMATCH_KERNELS_CONV_WINOGRAD_TILE_H_

#include "conv_tile.h"

namespace funmatch {
namespace winograd {

// Outputs of a tile in one direction, its inputs, and its products.
constexpr int kTile = 4;
constexpr int kSpan = 6;
constexpr int kPlanes = kSpan * kSpan;

constexpr float kA = 0.75f, kA2 = kA * kA, kA3 = kA2 * kA;
constexpr float kB = 1.5f, kB2 = kB * kB, kB3 = kB2 * kB;
constexpr double kOver0 = 64.0 / 81, kOverA = -128.0 / 243, kOverB = 32.0 / 243;

// Each of these takes a line of values `s` apart to a line of values `t` apart.

inline void FromInput(const Lanes* d, int s, Lanes* o, int t) {
  const Lanes even_a = d[4 * s] - kB2 * d[2 * s], odd_a = kA * (d[3 * s] - kB2 * d[s]);
  const Lanes even_b = d[4 * s] - kA2 * d[2 * s], odd_b = kB * (d[3 * s] - kA2 * d[s]);
  o[0] = (kA2 * kB2) * d[0] - (kA2 + kB2) * d[2 * s] + d[4 * s];
  o[t] = even_a + odd_a;
  o[2 * t] = even_a - odd_a;
  o[3 * t] = even_b + odd_b;
  o[4 * t] = even_b - odd_b;
  o[5 * t] = (kA2 * kB2) * d[s] - (kA2 + kB2) * d[3 * s] + d[5 * s];
}

inline void FromKernel(const Lanes* g, int s, Lanes* o, int t) {
  const Lanes even_a = static_cast<float>(kOverA) * g[0] + static_cast<float>(kOverA * kA2) * g[2 * s];
  const Lanes even_b = static_cast<float>(kOverB) * g[0] + static_cast<float>(kOverB * kB2) * g[2 * s];
  const Lanes odd_a = static_cast<float>(kOverA * kA) * g[s], odd_b = static_cast<float>(kOverB * kB) * g[s];
  o[0] = static_cast<float>(kOver0) * g[0];
  o[t] = even_a + odd_a;
  o[2 * t] = even_a - odd_a;
  o[3 * t] = even_b + odd_b;
  o[4 * t] = even_b - odd_b;
  o[5 * t] = g[2 * s];
}

inline void ToOutput(const Lanes* m, int s, Lanes* o, int t) {
  const Lanes even_a = m[s] + m[2 * s], odd_a = m[s] - m[2 * s];
  const Lanes even_b = m[3 * s] + m[4 * s], odd_b = m[3 * s] - m[4 * s];
  o[0] = m[0] + even_a + even_b;
  o[t] = kA * odd_a + kB * odd_b;
  o[2 * t] = kA2 * even_a + kB2 * even_b;
  o[3 * t] = kA3 * odd_a + kB3 * odd_b + m[5 * s];
}

// ToOutput and FromKernel transposed: for the gradient by the kernel.
inline void FromOutput(const Lanes* y, int s, Lanes* o, int t) {
  const Lanes even_a = y[0] + kA2 * y[2 * s], odd_a = kA * y[s] + kA3 * y[3 * s];
  const Lanes even_b = y[0] + kB2 * y[2 * s], odd_b = kB * y[s] + kB3 * y[3 * s];
  o[0] = y[0];
  o[t] = even_a + odd_a;
  o[2 * t] = even_a - odd_a;
  o[3 * t] = even_b + odd_b;
  o[4 * t] = even_b - odd_b;
  o[5 * t] = y[3 * s];
}

inline void ToKernel(const Lanes* m, int s, Lanes* o, int t) {
  const Lanes even_a = static_cast<float>(kOverA) * (m[s] + m[2 * s]), odd_a = m[s] - m[2 * s];
  const Lanes even_b = static_cast<float>(kOverB) * (m[3 * s] + m[4 * s]), odd_b = m[3 * s] - m[4 * s];
  o[0] = static_cast<float>(kOver0) * m[0] + even_a + even_b;
  o[t] = static_cast<float>(kOverA * kA) * odd_a + static_cast<float>(kOverB * kB) * odd_b;
  o[2 * t] = kA2 * even_a + kB2 * even_b + m[5 * s];
}

// kFrom x kFrom values, row by row, to kTo x kTo.
template <int kFrom, int kTo, void (*kLine)(const Lanes*, int, Lanes*, int)>
inline __attribute__((always_inline)) void Transform(const Lanes* from, Lanes* to) {
  Lanes half[kTo * kFrom];
#pragma GCC unroll 6
  for (int j = 0; j < kFrom; ++j) kLine(from + j, kFrom, half + j, kFrom);
#pragma GCC unroll 6
  for (int i = 0; i < kTo; ++i) kLine(half + i * kFrom, 1, to + i * kTo, 1);
}

// Tiles of images [N, H, W, C], numbered image by image and row by row; the last of a row or column may reach beyond.
struct Tiles {
  int64_t images, height, width;
  int64_t down() const { return CeilDiv(height, kTile); }
  int64_t across() const { return CeilDiv(width, kTile); }
  int64_t count() const { return images * down() * across(); }

  struct Place {
    int64_t image, h, w;
  };
  Place at(int64_t tile) const {
    const int64_t row = tile / across();
    return {row / down(), row % down() * kTile, tile % across() * kTile};
  }

  // kSize x kSize pixels from (place.h - margin, place.w - margin) on; zero outside the image.
  template <int kSize, typename S>
  __attribute__((always_inline)) void Read(const S* x, int64_t channels, const Place& place, int margin,
                                           Lanes* d) const {
    const int64_t h0 = place.h - margin, w0 = place.w - margin;
    const S* image = x + place.image * height * width * channels;
    if (h0 >= 0 && w0 >= 0 && h0 + kSize <= height && w0 + kSize <= width) {
      const S* from = image + (h0 * width + w0) * channels;
#pragma GCC unroll 6
      for (int i = 0; i < kSize; ++i)
#pragma GCC unroll 6
        for (int j = 0; j < kSize; ++j) d[i * kSize + j] = LoadLanes(from + (i * width + j) * channels);
      return;
    }
    for (int i = 0; i < kSize; ++i)
      for (int j = 0; j < kSize; ++j) {
        const int64_t h = h0 + i, w = w0 + j;
        const bool inside = h >= 0 && h < height && w >= 0 && w < width;
        d[i * kSize + j] = inside ? LoadLanes(image + (h * width + w) * channels) : Lanes{};
      }
  }

  template <typename S>
  void Write(const Lanes* o, const Place& place, int64_t channels, S* y) const {
    S* to = y + ((place.image * height + place.h) * width + place.w) * channels;
    const int64_t rows = std::min<int64_t>(kTile, height - place.h), columns = std::min<int64_t>(kTile, width - place.w);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) SaveLanes(o[i * kTile + j], to + (i * width + j) * channels);
  }
};

inline void SavePlanes(const Lanes* v, float* to, int64_t apart) {
#pragma GCC unroll 36
  for (int p = 0; p < kPlanes; ++p) SaveLanes(v[p], to + p * apart);
}

inline void LoadPlanes(const float* from, int64_t apart, Lanes* v) {
#pragma GCC unroll 36
  for (int p = 0; p < kPlanes; ++p) v[p] = LoadLanes(from + p * apart);
}

}  // namespace winograd
}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_CONV_WINOGRAD_TILE_H_
