// Element types as our operations compute with them: stored as float or bfloat16, always computed in float.
#ifndef FUNMATCH_KERNELS_ELEMENT_H_
#define FUNMATCH_KERNELS_ELEMENT_H_

#include <cstdint>

#include "tensorflow/core/framework/bfloat16.h"

namespace funmatch {

// A bfloat16 is the upper half of a float. Plain integers, so that loops over them become vector instructions.
struct Half {
  uint16_t bits;
};

// What a tensor of TensorFlow's element type T holds in memory.
template <typename T>
struct Stored {
  using type = T;
};
template <>
struct Stored<tensorflow::bfloat16> {
  using type = Half;
};

inline float Load(float stored) { return stored; }

inline float Load(Half stored) {
  const uint32_t wide = static_cast<uint32_t>(stored.bits) << 16;
  return __builtin_bit_cast(float, wide);
}

inline void Save(float value, float* place) { *place = value; }

// To the nearest, ties to even; NaN stays NaN.
inline void Save(float value, Half* place) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  place->bits = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : rounded);
}

// The elements of a tensor of type T.
template <typename T, typename Tensor>
const typename Stored<T>::type* Elements(const Tensor& tensor) {
  return reinterpret_cast<const typename Stored<T>::type*>(tensor.template flat<T>().data());
}
template <typename T, typename Tensor>
typename Stored<T>::type* Elements(Tensor* tensor) {
  return reinterpret_cast<typename Stored<T>::type*>(tensor->template flat<T>().data());
}

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_ELEMENT_H_
