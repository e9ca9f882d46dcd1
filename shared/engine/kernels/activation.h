// What may follow a norm, and its derivative.
#ifndef FUNMATCH_KERNELS_ACTIVATION_H_
#define FUNMATCH_KERNELS_ACTIVATION_H_

namespace funmatch {

struct None {
  static float Of(float z) { return z; }
  static float Slope(float) { return 1.0f; }
};
struct Relu {
  static float Of(float z) { return z < 0.0f ? 0.0f : z; }
  static float Slope(float z) { return z <= 0.0f ? 0.0f : 1.0f; }
};
// z * relu6(z + 3) / 6
struct HardSwish {
  static float Of(float z) {
    const float up = z + 3.0f;
    const float floored = up < 0.0f ? 0.0f : up;
    return z * ((floored > 6.0f ? 6.0f : floored) * (1.0f / 6.0f));
  }
  static float Slope(float z) {
    const float inside = (2.0f * z + 3.0f) * (1.0f / 6.0f);
    const float below = z <= -3.0f ? 0.0f : inside;
    return z >= 3.0f ? 1.0f : below;
  }
};

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_ACTIVATION_H_
