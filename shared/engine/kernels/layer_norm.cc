// LayerNorm over the last axis, and its gradient: a row is done from beginning to end while it is in the nearest cache.
#include <cmath>
#include <vector>

#include "operation.h"

namespace funmatch {
namespace {

// Rows whose sums of the parameters' gradients are taken in float, before they go into a double.
constexpr int64_t kRows = 32;

template <typename T>
class LayerNorm : public OpKernel {
 public:
  explicit LayerNorm(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &epsilon_));
  }

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() >= 1 && x.dim_size(x.dims() - 1) > 0, InvalidArgument("x needs channels"));
    const int64_t channels = x.dim_size(x.dims() - 1);
    const int64_t rows = x.NumElements() / channels;
    for (int i : {1, 2})
      OP_REQUIRES(context, context->input(i).NumElements() == channels,
                  InvalidArgument("scale and bias need ", channels, " elements"));
    Tensor *y, *mean, *inverse;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({rows}), &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({rows}), &inverse));
    const S* in = Elements<T>(x);
    S* out = Elements<T>(y);
    const float* scale = context->input(1).flat<float>().data();
    const float* bias = context->input(2).flat<float>().data();
    float* means = mean->flat<float>().data();
    float* inverses = inverse->flat<float>().data();
    const Pieces pieces = {rows, kRows};
    ForEach(context, pieces.count(), [&](int64_t piece) {
      for (int64_t row = pieces.begin(piece); row < pieces.end(piece); ++row) {
        const S* from = in + row * channels;
        S* to = out + row * channels;
        float sum = 0;
        for (int64_t c = 0; c < channels; ++c) sum += Load(from[c]);
        const float centre = sum / static_cast<float>(channels);
        float squares = 0;
        for (int64_t c = 0; c < channels; ++c) {
          const float d = Load(from[c]) - centre;
          squares += d * d;
        }
        const float r = 1.0f / std::sqrt(squares / static_cast<float>(channels) + epsilon_);
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) Save((Load(from[c]) - centre) * r * scale[c] + bias[c], &to[c]);
        means[row] = centre;
        inverses[row] = r;
      }
    });
  }

 private:
  float epsilon_;
};

// With h = (x - mean) * inverse and d = dy * scale, the gradient by x is
//   inverse * (d - mean of d - h * mean of (d * h)),
// means over the row; by scale the sum of dy * h over the rows, by bias that of dy.
template <typename T>
class LayerNormGrad : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    const int64_t channels = context->input(2).NumElements();
    const int64_t rows = context->input(3).NumElements();
    OP_REQUIRES(context, dy.shape() == x.shape() && x.NumElements() == rows * channels &&
                             context->input(4).NumElements() == rows,
                InvalidArgument("dy must be as x, mean and inverse one number a row"));
    Tensor *dx, *dscale, *dbias;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, context->input(2).shape(), &dscale));
    OP_REQUIRES_OK(context, context->allocate_output(2, context->input(2).shape(), &dbias));
    const S* in = Elements<T>(x);
    const S* above = Elements<T>(dy);
    S* out = Elements<T>(dx);
    const float* scale = context->input(2).flat<float>().data();
    const float* means = context->input(3).flat<float>().data();
    const float* inverses = context->input(4).flat<float>().data();
    const Pieces pieces = {rows, kRows};
    std::vector<float> sums(pieces.count() * 2 * channels, 0.0f);
    ForEach(context, pieces.count(), [&](int64_t piece) {
      float* __restrict by_scale = &sums[piece * 2 * channels];
      float* __restrict by_bias = by_scale + channels;
      for (int64_t row = pieces.begin(piece); row < pieces.end(piece); ++row) {
        const S* from = in + row * channels;
        const S* down = above + row * channels;
        S* to = out + row * channels;
        const float centre = means[row];
        const float r = inverses[row];
        float sum = 0;
        float along = 0;
        for (int64_t c = 0; c < channels; ++c) {
          const float gradient = Load(down[c]);
          const float h = (Load(from[c]) - centre) * r;
          by_scale[c] += gradient * h;
          by_bias[c] += gradient;
          sum += gradient * scale[c];
          along += gradient * scale[c] * h;
        }
        sum /= static_cast<float>(channels);
        along /= static_cast<float>(channels);
        // dx may lie where dy does; an element of it needs no other's.
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const float h = (Load(from[c]) - centre) * r;
          Save(r * (Load(down[c]) * scale[c] - sum - h * along), &to[c]);
        }
      }
    });
    for (int64_t c = 0; c < channels; ++c) {
      double by_scale = 0;
      double by_bias = 0;
      for (int64_t piece = 0; piece < pieces.count(); ++piece) {
        by_scale += sums[piece * 2 * channels + c];
        by_bias += sums[(piece * 2 + 1) * channels + c];
      }
      dscale->flat<float>()(c) = static_cast<float>(by_scale);
      dbias->flat<float>()(c) = static_cast<float>(by_bias);
    }
  }
};

REGISTER_OP("FunmatchLayerNorm")
    .Input("x: T")
    .Input("scale: float")
    .Input("bias: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("inverse: float")
    .Attr("T: {float, bfloat16}")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      for (int i : {1, 2}) c->set_output(i, c->UnknownShapeOfRank(1));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchLayerNormGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("scale: float")
    .Input("mean: float")
    .Input("inverse: float")
    .Output("dx: T")
    .Output("dscale: float")
    .Output("dbias: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      for (int i : {1, 2}) c->set_output(i, c->input(2));
      return absl::OkStatus();
    });

#define REGISTER(T)                                                                                              \
  REGISTER_KERNEL_BUILDER(Name("FunmatchLayerNorm").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),       \
                          LayerNorm<T>);                                                                         \
  REGISTER_KERNEL_BUILDER(Name("FunmatchLayerNormGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),   \
                          LayerNormGrad<T>);
REGISTER(float)
REGISTER(tensorflow::bfloat16)
#undef REGISTER

}  // namespace
}  // namespace funmatch
