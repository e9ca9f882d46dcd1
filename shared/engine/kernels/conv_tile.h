// The innermost loop of the convolutions: a tile of a matrix product, held in registers from beginning to end.
//
// Written in the compiler's own vectors, so that it compiles for every CPU; the sizes are those that fill the registers
// of this one (32 of 16 floats with AVX-512, 16 of 8 with AVX2).
#ifndef FUNMATCH_KERNELS_CONV_TILE_H_
#define FUNMATCH_KERNELS_CONV_TILE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>

#include "element.h"

namespace funmatch {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kRows = 14;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kRows = 6;
#else
constexpr int kLanes = 4;
constexpr int kRows = 6;
#endif
// A tile is at most kRows high and always two vectors wide.
constexpr int kColumns = 2 * kLanes;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));
typedef float UnalignedLanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Lanes LoadLanes(const float* from) { return *reinterpret_cast<const UnalignedLanes*>(from); }
inline void SaveLanes(Lanes value, float* to) { *reinterpret_cast<UnalignedLanes*>(to) = value; }

typedef uint32_t BitLanes __attribute__((vector_size(kLanes * sizeof(uint32_t))));
typedef uint16_t HalfLanes __attribute__((vector_size(kLanes * sizeof(uint16_t)), aligned(2), may_alias));

// The same of numbers that are stored as bfloat16: see Load and Save.
inline Lanes LoadLanes(const Half* from) {
  const HalfLanes bits = *reinterpret_cast<const HalfLanes*>(from);
  return reinterpret_cast<Lanes>(__builtin_convertvector(bits, BitLanes) << 16);
}
inline void SaveLanes(Lanes value, Half* to) {
  const BitLanes bits = reinterpret_cast<BitLanes>(value), upper = bits >> 16;
  const BitLanes rounded = (bits + 0x7fffu + (upper & 1u)) >> 16;
  const BitLanes safe = (bits & 0x7fffffffu) > 0x7f800000u ? upper | 0x40u : rounded;
  *reinterpret_cast<HalfLanes*>(to) = __builtin_convertvector(safe, HalfLanes);
}

// Runs work(i) for i in [0, total), in any order and at once.
using Each = std::function<void(int64_t total, const std::function<void(int64_t)>& work)>;

// Memory of this thread that lasts for one piece of work; it is not zero.
inline float* Scratch(int64_t floats) {
  struct Buffer {
    float* data = nullptr;
    int64_t size = 0;
    ~Buffer() { std::free(data); }
  };
  static thread_local Buffer buffer;
  if (buffer.size < floats) {
    std::free(buffer.data);
    const int64_t bytes = (floats * static_cast<int64_t>(sizeof(float)) + 4095) / 4096 * 4096;
    buffer.data = static_cast<float*>(std::aligned_alloc(4096, bytes));
    buffer.size = buffer.data == nullptr ? 0 : floats;
    if (buffer.data == nullptr) throw std::bad_alloc();
  }
  return buffer.data;
}

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How element (row, k) of the tile's left factor lies in memory.
enum class Left { kRowsApart, kTermsApart };

// c[row][column] (+)= sum over k of a(row, k) * b[k][column], `kTileRows` x kColumns. a(row, k) is a[row * stride + k]
// (kRowsApart) or a[k * stride + row] (kTermsApart); b is [terms][kColumns].
template <int kTileRows, Left kLeft>
__attribute__((noinline)) void Tile(int64_t terms, const float* a, int64_t stride, const float* b, float* c,
                                    int64_t c_stride, bool add) {
  Lanes sum[kTileRows][2];
  if (add) {
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) {
      sum[r][0] = LoadLanes(c + r * c_stride);
      sum[r][1] = LoadLanes(c + r * c_stride + kLanes);
    }
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) sum[r][0] = sum[r][1] = Lanes{};
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < terms; ++k) {
    const Lanes b0 = LoadLanes(b);
    const Lanes b1 = LoadLanes(b + kLanes);
    b += kColumns;
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) {
      const Lanes x = (kLeft == Left::kRowsApart ? a[r * stride] : a[r]) - Lanes{};
      sum[r][0] += x * b0;
      sum[r][1] += x * b1;
    }
    a += kLeft == Left::kRowsApart ? 1 : stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    SaveLanes(sum[r][0], c + r * c_stride);
    SaveLanes(sum[r][1], c + r * c_stride + kLanes);
  }
}

template <Left kLeft, int kTileRows = kRows>
inline void TileOf(int64_t rows, int64_t terms, const float* a, int64_t stride, const float* b, float* c,
                   int64_t c_stride, bool add) {
  if (rows == kTileRows) return Tile<kTileRows, kLeft>(terms, a, stride, b, c, c_stride, add);
  if constexpr (kTileRows > 1) TileOf<kLeft, kTileRows - 1>(rows, terms, a, stride, b, c, c_stride, add);
}

// The same for a tile of which only `columns` columns exist in c.
template <Left kLeft>
inline void TileInto(int64_t rows, int64_t columns, int64_t terms, const float* a, int64_t stride, const float* b,
                     float* c, int64_t c_stride, bool add) {
  if (columns >= kColumns) {
    // Where the sums go is fetched while they are taken.
    for (int64_t r = 0; r < rows; ++r) {
      __builtin_prefetch(c + r * c_stride, 1);
      __builtin_prefetch(c + r * c_stride + kLanes, 1);
    }
    return TileOf<kLeft>(rows, terms, a, stride, b, c, c_stride, add);
  }
  float whole[kRows * kColumns];
  TileOf<kLeft>(rows, terms, a, stride, b, whole, kColumns, false);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < columns; ++j) {
      float& to = c[r * c_stride + j];
      to = (add ? to : 0.0f) + whole[r * kColumns + j];
    }
}

// A run of `size` things in as many nearly equal pieces of at most `most`.
struct EvenPieces {
  int64_t size;
  int64_t most;
  int64_t count() const { return CeilDiv(size, most); }
  int64_t begin(int64_t i) const { return size * i / count(); }
  int64_t end(int64_t i) const { return begin(i + 1); }
};

// Rows that are fetched ahead of those that are copied.
constexpr int64_t kRowsAhead = 4;

template <typename From, typename To>
inline void CopyNumbers(const From* from, int64_t size, To* to) {
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) SaveLanes(LoadLanes(from + i), to + i);
  if (i == size) return;
  // The last vector overlaps the one before.
  if (size >= kLanes) return SaveLanes(LoadLanes(from + size - kLanes), to + size - kLanes);
  for (; i < size; ++i) Save(Load(from[i]), to + i);
}

// `columns` columns, kColumns at a time: to[k][j] = from[k][j], zero beyond the last. Reads along the rows.
template <typename From>
inline void PackRows(const From* from, int64_t stride, int64_t terms, int64_t columns, float* to) {
  for (int64_t k = 0; k < terms; ++k, from += stride, to += kColumns) {
    int64_t j = 0;
    for (; j + kColumns <= columns; j += kColumns) {
      __builtin_prefetch(from + j + kRowsAhead * stride, 0, 2);
      __builtin_prefetch(from + j + kLanes + kRowsAhead * stride, 0, 2);
      SaveLanes(LoadLanes(from + j), to + j * terms);
      SaveLanes(LoadLanes(from + j + kLanes), to + j * terms + kLanes);
    }
    if (j == columns) continue;
    CopyNumbers(from + j, columns - j, to + j * terms);
    std::fill(to + j * terms + columns - j, to + j * terms + kColumns, 0.0f);
  }
}

// to[j][i] = from[i][j], kLanes x kLanes.
inline void TransposeLanes(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  typedef int Indices __attribute__((vector_size(kLanes * sizeof(int))));
  Lanes v[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) v[i] = LoadLanes(from + i * from_stride);
#pragma GCC unroll 4
  for (int step = kLanes / 2; step >= 1; step /= 2) {
    Indices low, high;
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; ++j) {
      low[j] = (j & step) ? j - step + kLanes : j;
      high[j] = (j & step) ? j + kLanes : j + step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if (i & step) continue;
      const Lanes a = v[i];
      const Lanes b = v[i + step];
      v[i] = __builtin_shuffle(a, b, low);
      v[i + step] = __builtin_shuffle(a, b, high);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) SaveLanes(v[i], to + i * to_stride);
}

// to[k][j] = from[j][k] for `columns` of kColumns columns, zero beyond.
inline void PackColumns(const float* from, int64_t stride, int64_t terms, int64_t columns, float* to) {
  int64_t k = 0;
  if (columns >= kColumns) {
    // The rows of the columns that come after these.
    if (columns >= 2 * kColumns)
      for (int64_t j = kColumns; j < 2 * kColumns; ++j)
        for (int64_t t = 0; t < terms; t += kLanes) __builtin_prefetch(from + j * stride + t, 0, 2);
    for (; k + kLanes <= terms; k += kLanes)
      for (int half = 0; half < kColumns; half += kLanes)
        TransposeLanes(from + half * stride + k, stride, to + k * kColumns + half, kColumns);
  }
  for (; k < terms; ++k)
    for (int64_t j = 0; j < kColumns; ++j) to[k * kColumns + j] = j < columns ? from[j * stride + k] : 0.0f;
}

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_CONV_TILE_H_
