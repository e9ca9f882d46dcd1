// BatchNorm of training, each part in as few passes as its sums allow: the moments of the channels over a batch; the
// norm with its activation; the gradient of both. The last axis is the channels; all others are one, the positions.
//
// The positions are cut into pieces; a piece's sums are taken in float, those of the pieces are added in double.
#include <cmath>
#include <string>
#include <vector>

#include "activation.h"
#include "operation.h"

namespace funmatch {
namespace {

// Of a piece: elements, 128 KB of float; and positions, whose sum in float should not lose digits.
constexpr int64_t kPieceElements = 32768;
constexpr int64_t kPiecePositions = 256;

struct Sizes {
  int64_t positions;
  int64_t channels;
  explicit Sizes(const Tensor& x)
      : positions(x.NumElements() == 0 ? 0 : x.NumElements() / x.dim_size(x.dims() - 1)),
        channels(x.dim_size(x.dims() - 1)) {}
  Pieces pieces() const {
    const int64_t fit = kPieceElements / std::max<int64_t>(1, channels);
    return {positions, std::clamp<int64_t>(fit, 1, kPiecePositions)};
  }
};

// Two sums for each channel over all positions, [2, C]: add(begin, end, first, second) adds those of a piece.
template <typename Add>
std::vector<double> ChannelSums(OpKernelContext* context, const Sizes& sizes, const Add& add) {
  const Pieces pieces = sizes.pieces();
  const int64_t width = 2 * sizes.channels;
  std::vector<float> sums(pieces.count() * width, 0.0f);
  ForEach(context, pieces.count(), [&](int64_t piece) {
    float* first = &sums[piece * width];
    add(pieces.begin(piece), pieces.end(piece), first, first + sizes.channels);
  });
  std::vector<double> totals(width, 0.0);
  for (int64_t piece = 0; piece < pieces.count(); ++piece)
    for (int64_t i = 0; i < width; ++i) totals[i] += sums[piece * width + i];
  return totals;
}

template <typename T>
class ChannelMoments : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() >= 1 && x.NumElements() > 0, InvalidArgument("x has no elements"));
    const Sizes sizes(x);
    const int64_t channels = sizes.channels;
    Tensor *mean, *variance;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({channels}), &mean));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({channels}), &variance));
    const S* in = Elements<T>(x);
    // Around the first position, so that a large mean costs no digits.
    const auto sums = ChannelSums(
        context, sizes, [=](int64_t begin, int64_t end, float* __restrict sum, float* __restrict square) {
          for (int64_t p = begin; p < end; ++p) {
            const S* row = in + p * channels;
            for (int64_t c = 0; c < channels; ++c) {
              const float d = Load(row[c]) - Load(in[c]);
              sum[c] += d;
              square[c] += d * d;
            }
          }
        });
    const double count = static_cast<double>(sizes.positions);
    for (int64_t c = 0; c < channels; ++c) {
      const double around = sums[c] / count;
      const double squares = sums[channels + c] / count - around * around;
      mean->flat<float>()(c) = static_cast<float>(Load(in[c]) + around);
      variance->flat<float>()(c) = static_cast<float>(squares < 0.0 ? 0.0 : squares);  // NaN stays NaN
    }
  }
};

// Reads which activation an operation has, and calls run(activation).
class Activated : public OpKernel {
 public:
  explicit Activated(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("activation", &activation_));
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &epsilon_));
  }

 protected:
  template <typename Run>
  void With(const Run& run) {
    if (activation_ == "relu") return run(Relu());
    if (activation_ == "hardSwish") return run(HardSwish());
    run(None());
  }

  // The norm as x * a + b for each channel, from the inputs scale, bias, mean and variance, which begin at `first`.
  tensorflow::Status Affine(OpKernelContext* context, int first, int64_t channels, std::vector<float>* a,
                            std::vector<float>* b, std::vector<float>* inverse) {
    for (int i = first; i < first + 4; ++i)
      if (context->input(i).NumElements() != channels)
        return InvalidArgument("scale, bias, mean and variance need ", channels, " elements, not ",
                               context->input(i).NumElements());
    const auto in = [&](int i) { return context->input(first + i).flat<float>().data(); };
    const float *scale = in(0), *bias = in(1), *mean = in(2), *variance = in(3);
    a->resize(channels);
    b->resize(channels);
    inverse->resize(channels);
    for (int64_t c = 0; c < channels; ++c) {
      (*inverse)[c] = 1.0f / std::sqrt(variance[c] + epsilon_);
      (*a)[c] = (*inverse)[c] * scale[c];
      (*b)[c] = __builtin_fmaf(-mean[c], (*a)[c], bias[c]);
    }
    return absl::OkStatus();
  }

 private:
  std::string activation_;
  float epsilon_;
};

template <typename T>
class BatchNorm : public Activated {
 public:
  using Activated::Activated;

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() >= 1, InvalidArgument("x needs channels"));
    const Sizes sizes(x);
    const int64_t channels = sizes.channels;
    std::vector<float> scales, offsets, inverse;
    OP_REQUIRES_OK(context, Affine(context, 1, channels, &scales, &offsets, &inverse));
    Tensor* y;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    const S* in = Elements<T>(x);
    S* out = Elements<T>(y);
    const float *a = scales.data(), *b = offsets.data();
    const Pieces pieces = sizes.pieces();
    With([&](auto activation) {
      ForEach(context, pieces.count(), [&](int64_t piece) {
        for (int64_t p = pieces.begin(piece); p < pieces.end(piece); ++p) {
          const S* from = in + p * channels;
          S* to = out + p * channels;
          // y may lie where x does; an element of it needs no other's.
#pragma GCC ivdep
          for (int64_t c = 0; c < channels; ++c)
            Save(activation.Of(__builtin_fmaf(Load(from[c]), a[c], b[c])), &to[c]);
        }
      });
    });
  }
};

// With z = x * a + b, h = (x - mean) * inverse and dz = dy * slope(z), the gradient by x is
//   a * (dz - mean of dz - h * mean of (dz * h)),
// means over the batch; by scale the sum of dz * h, by bias that of dz.
template <typename T>
class BatchNormGrad : public Activated {
 public:
  using Activated::Activated;

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    OP_REQUIRES(context, dy.shape() == x.shape() && x.dims() >= 1, InvalidArgument("dy must be as x"));
    const Sizes sizes(x);
    const int64_t channels = sizes.channels;
    std::vector<float> scales, offsets, inverse;
    OP_REQUIRES_OK(context, Affine(context, 2, channels, &scales, &offsets, &inverse));
    Tensor *dx, *dscale, *dbias;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, context->input(2).shape(), &dscale));
    OP_REQUIRES_OK(context, context->allocate_output(2, context->input(3).shape(), &dbias));
    const S* in = Elements<T>(x);
    const S* above = Elements<T>(dy);
    S* out = Elements<T>(dx);
    const float *a = scales.data(), *b = offsets.data();
    const float* mean = context->input(4).flat<float>().data();
    With([&](auto activation) {
      const auto sums = ChannelSums(
          context, sizes, [=](int64_t begin, int64_t end, float* __restrict sum, float* __restrict weighted) {
            for (int64_t p = begin; p < end; ++p) {
              const S* from = in + p * channels;
              const S* down = above + p * channels;
              for (int64_t c = 0; c < channels; ++c) {
                const float value = Load(from[c]);
                const float dz = Load(down[c]) * activation.Slope(__builtin_fmaf(value, a[c], b[c]));
                sum[c] += dz;
                weighted[c] += dz * (value - mean[c]);
              }
            }
          });
      const double count = std::max<double>(1.0, static_cast<double>(sizes.positions));
      std::vector<float> along(channels);
      std::vector<float> offset(channels);
      for (int64_t c = 0; c < channels; ++c) {
        const double weighted = sums[channels + c] * inverse[c];
        dscale->flat<float>()(c) = static_cast<float>(weighted);
        dbias->flat<float>()(c) = static_cast<float>(sums[c]);
        along[c] = static_cast<float>(-a[c] * inverse[c] * weighted / count);
        offset[c] = static_cast<float>(-a[c] * sums[c] / count);
      }
      const float *l = along.data(), *o = offset.data();
      const Pieces pieces = sizes.pieces();
      ForEach(context, pieces.count(), [&](int64_t piece) {
        for (int64_t p = pieces.begin(piece); p < pieces.end(piece); ++p) {
          const S* from = in + p * channels;
          const S* down = above + p * channels;
          S* to = out + p * channels;
#pragma GCC ivdep
          for (int64_t c = 0; c < channels; ++c) {
            const float value = Load(from[c]);
            const float dz = Load(down[c]) * activation.Slope(__builtin_fmaf(value, a[c], b[c]));
            Save(a[c] * dz + ((value - mean[c]) * l[c] + o[c]), &to[c]);
          }
        }
      });
    });
  }
};

REGISTER_OP("FunmatchChannelMoments")
    .Input("x: T")
    .Output("mean: float")
    .Output("variance: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &x));
      for (int i : {0, 1}) c->set_output(i, c->Vector(c->Dim(x, -1)));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchBatchNorm")
    .Input("x: T")
    .Input("scale: float")
    .Input("bias: float")
    .Input("mean: float")
    .Input("variance: float")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .Attr("activation: {'none', 'relu', 'hardSwish'}")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchBatchNormGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("scale: float")
    .Input("bias: float")
    .Input("mean: float")
    .Input("variance: float")
    .Output("dx: T")
    .Output("dscale: float")
    .Output("dbias: float")
    .Attr("T: {float, bfloat16}")
    .Attr("activation: {'none', 'relu', 'hardSwish'}")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) {
      for (int i : {0, 1, 2}) c->set_output(i, c->input(i + 1));
      return absl::OkStatus();
    });

#define REGISTER(T)                                                                                               \
  REGISTER_KERNEL_BUILDER(Name("FunmatchChannelMoments").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),   \
                          ChannelMoments<T>);                                                                     \
  REGISTER_KERNEL_BUILDER(Name("FunmatchBatchNorm").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),        \
                          BatchNorm<T>);                                                                          \
  REGISTER_KERNEL_BUILDER(Name("FunmatchBatchNormGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),    \
                          BatchNormGrad<T>);
REGISTER(float)
REGISTER(tensorflow::bfloat16)
#undef REGISTER

}  // namespace
}  // namespace funmatch
