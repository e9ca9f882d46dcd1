// GELU by its approximation with tanh, and its gradient, in one pass each.
//
// 0.5 x (1 + tanh u) is x * sigmoid(2 u), which loses no digits where tanh is near -1.
#include <cmath>

#include "operation.h"

namespace funmatch {
namespace {

constexpr int64_t kPieceElements = 16384;
// 2 sqrt(2 / pi), and that times the cubic term's factor.
constexpr float kLinear = 1.5957691216057308f;
constexpr float kCubic = 0.044715f * kLinear;

// e^x to about one unit in the last place, without a branch or a call, so that loops over it become vector
// instructions: x = n ln 2 + r, and e^r by its series' polynomial (coefficients of Cephes' expf).
inline float Exp(float x) {
  const float low = x < -87.0f ? -87.0f : x;
  const float clamped = low > 88.0f ? 88.0f : low;
  const float n = std::nearbyint(clamped * 1.44269504088896341f);
  const float r = __builtin_fmaf(n, 2.12194440e-4f, __builtin_fmaf(n, -0.693359375f, clamped));
  float p = 1.9875691500e-4f;
  p = __builtin_fmaf(p, r, 1.3981999507e-3f);
  p = __builtin_fmaf(p, r, 8.3334519073e-3f);
  p = __builtin_fmaf(p, r, 4.1665795894e-2f);
  p = __builtin_fmaf(p, r, 1.6666665459e-1f);
  p = __builtin_fmaf(p, r, 5.0000001201e-1f);
  const float e = __builtin_fmaf(p, r * r, r + 1.0f);
  const int32_t power = (static_cast<int32_t>(n) + 127) << 23;
  return e * __builtin_bit_cast(float, power);
}

inline float Gate(float x) { return 1.0f / (1.0f + Exp(-x * (kLinear + kCubic * x * x))); }

inline float Gelu(float x) { return x * Gate(x); }

inline float Slope(float x) {
  const float gate = Gate(x);
  return gate + x * gate * (1.0f - gate) * (kLinear + 3.0f * kCubic * x * x);
}

template <typename T, typename Compute>
void Elementwise(OpKernelContext* context, int64_t elements, const Compute& compute) {
  const Pieces pieces = {elements, kPieceElements};
  ForEach(context, pieces.count(), [&](int64_t piece) { compute(pieces.begin(piece), pieces.end(piece)); });
}

template <typename T>
class GeluOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    Tensor* y;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    const auto* in = Elements<T>(x);
    auto* out = Elements<T>(y);
    Elementwise<T>(context, x.NumElements(), [=](int64_t begin, int64_t end) {
#pragma GCC ivdep
      for (int64_t i = begin; i < end; ++i) Save(Gelu(Load(in[i])), &out[i]);
    });
  }
};

template <typename T>
class GeluGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    OP_REQUIRES(context, dy.shape() == x.shape(), InvalidArgument("dy must be as x"));
    Tensor* dx;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    const auto* above = Elements<T>(dy);
    const auto* in = Elements<T>(x);
    auto* out = Elements<T>(dx);
    Elementwise<T>(context, x.NumElements(), [=](int64_t begin, int64_t end) {
#pragma GCC ivdep
      for (int64_t i = begin; i < end; ++i) Save(Load(above[i]) * Slope(Load(in[i])), &out[i]);
    });
  }
};

REGISTER_OP("FunmatchGelu")
    .Input("x: T")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchGeluGrad")
    .Input("dy: T")
    .Input("x: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      return absl::OkStatus();
    });

#define REGISTER(T)                                                                                               \
  REGISTER_KERNEL_BUILDER(Name("FunmatchGelu").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), GeluOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("FunmatchGeluGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),         \
                          GeluGradOp<T>);
REGISTER(float)
REGISTER(tensorflow::bfloat16)
#undef REGISTER

}  // namespace
}  // namespace funmatch
