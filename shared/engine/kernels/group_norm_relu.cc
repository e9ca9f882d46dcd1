// GroupNorm followed by ReLU, and the gradient of both, each in one operation that reads its tensors twice.
#include <cmath>
#include <vector>

#include "group_norm.h"

namespace funmatch {
namespace {

// Adds to sum and square, of each channel, x - shift and its square over the positions [begin, end) of an image.
template <typename S>
void Moments(const S* x, int64_t begin, int64_t end, int64_t channels, const S* shift, float* __restrict sum,
             float* __restrict square) {
  int64_t p = begin;
  for (; p + 4 <= end; p += 4) {
    const S* row = x + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float k = Load(shift[c]);
      const float d0 = Load(row[c]) - k;
      const float d1 = Load(row[c + channels]) - k;
      const float d2 = Load(row[c + 2 * channels]) - k;
      const float d3 = Load(row[c + 3 * channels]) - k;
      sum[c] += (d0 + d1) + (d2 + d3);
      square[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
  }
  for (; p < end; ++p) {
    const S* row = x + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float d = Load(row[c]) - Load(shift[c]);
      sum[c] += d;
      square[c] += d * d;
    }
  }
}

// Mean and 1 / sqrt(variance + epsilon) of each group of an image, from the sums of its pieces: [pieces, 2, C], taken
// around the image's first pixel, so that a large mean costs no digits.
template <typename S>
void Statistics(const Sizes& sizes, const float* sums, const S* shift, double epsilon, float* mean, float* inverse) {
  const int64_t channels = sizes.channels;
  const double positions = static_cast<double>(sizes.positions);
  std::vector<double> total(2 * channels, 0.0);
  for (int64_t piece = 0; piece < sizes.pieces().count(); ++piece)
    for (int64_t i = 0; i < 2 * channels; ++i) total[i] += sums[piece * 2 * channels + i];
  for (int64_t group = 0; group < sizes.groups; ++group) {
    const int64_t first = group * sizes.group_channels();
    const int64_t end = first + sizes.group_channels();
    double centre = 0;
    for (int64_t c = first; c < end; ++c) centre += Load(shift[c]) + total[c] / positions;
    centre /= static_cast<double>(sizes.group_channels());
    double squares = 0;
    for (int64_t c = first; c < end; ++c) {
      const double around = total[c] / positions;
      const double apart = Load(shift[c]) + around - centre;
      squares += total[channels + c] - positions * around * around + positions * apart * apart;
    }
    const double mean_square = squares / (positions * static_cast<double>(sizes.group_channels()));
    const double variance = mean_square < 0.0 ? 0.0 : mean_square;  // NaN stays NaN
    mean[group] = static_cast<float>(centre);
    inverse[group] = static_cast<float>(1.0 / std::sqrt(variance + epsilon));
  }
}

template <typename T>
class GroupNormRelu : public OpKernel {
 public:
  explicit GroupNormRelu(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("groups", &groups_));
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &epsilon_));
  }

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& x = context->input(0);
    OP_REQUIRES_OK(context, Check(x, context->input(1), context->input(2), groups_));
    const Sizes sizes = SizesOf(x, groups_);
    Tensor *y, *mean, *inverse;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({sizes.images, sizes.groups}), &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({sizes.images, sizes.groups}), &inverse));
    if (x.NumElements() == 0) return;

    const int64_t channels = sizes.channels;
    const Pieces pieces = sizes.pieces();
    const int64_t image_elements = sizes.positions * channels;
    const int64_t image_sums = pieces.count() * 2 * channels;
    std::vector<float> sums(sizes.images * image_sums, 0.0f);
    std::vector<float> affine(sizes.images * 2 * channels);
    const S* in = Elements<T>(x);
    S* out = Elements<T>(y);
    const float* scale = context->input(1).flat<float>().data();
    const float* bias = context->input(2).flat<float>().data();
    float* means = mean->flat<float>().data();
    float* inverses = inverse->flat<float>().data();
    PerImage(
        context, sizes,
        [&](int64_t image, int64_t piece) {
          float* sum = &sums[image * image_sums + piece * 2 * channels];
          const S* from = in + image * image_elements;
          Moments(from, pieces.begin(piece), pieces.end(piece), channels, from, sum, sum + channels);
        },
        [&](int64_t image) {
          float* m = means + image * sizes.groups;
          float* r = inverses + image * sizes.groups;
          Statistics(sizes, &sums[image * image_sums], in + image * image_elements, epsilon_, m, r);
          float* a = &affine[image * 2 * channels];
          Affine(sizes, m, r, scale, bias, a, a + channels);
        },
        [&](int64_t image, int64_t piece) {
          const float* a = &affine[image * 2 * channels];
          const float* b = a + channels;
          for (int64_t p = pieces.begin(piece); p < pieces.end(piece); ++p) {
            const S* from = in + image * image_elements + p * channels;
            S* to = out + image * image_elements + p * channels;
#pragma GCC ivdep
            for (int64_t c = 0; c < channels; ++c) {
              const float z = __builtin_fmaf(Load(from[c]), a[c], b[c]);
              Save(z < 0.0f ? 0.0f : z, &to[c]);
            }
          }
        });
  }

 private:
  int64_t groups_;
  float epsilon_;
};

// The gradient above ReLU, where it lets it through.
template <typename S>
float Passed(S dy, float x, float a, float b) {
  const float incoming = Load(dy);  // read in any case: no branch
  return __builtin_fmaf(x, a, b) <= 0.0f ? 0.0f : incoming;
}

// Adds to sum and weighted, of each channel, dz and dz * (x - mean) over the positions [begin, end) of an image.
template <typename S>
void GradientSums(const S* x, const S* dy, int64_t begin, int64_t end, int64_t channels, const float* a,
                  const float* b, const float* mean, float* __restrict sum, float* __restrict weighted) {
  int64_t p = begin;
  for (; p + 2 <= end; p += 2) {
    const S* row = x + p * channels;
    const S* above = dy + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float x0 = Load(row[c]);
      const float x1 = Load(row[c + channels]);
      const float dz0 = Passed(above[c], x0, a[c], b[c]);
      const float dz1 = Passed(above[c + channels], x1, a[c], b[c]);
      sum[c] += dz0 + dz1;
      weighted[c] += dz0 * (x0 - mean[c]) + dz1 * (x1 - mean[c]);
    }
  }
  for (; p < end; ++p) {
    const S* row = x + p * channels;
    const S* above = dy + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float value = Load(row[c]);
      const float dz = Passed(above[c], value, a[c], b[c]);
      sum[c] += dz;
      weighted[c] += dz * (value - mean[c]);
    }
  }
}

// With z = x * a + b and h = (x - mean) * inverse, the gradient by x is
//   inverse * (scale * dz - mean of (scale * dz) - h * mean of (scale * dz * h)),
// means over the group, where dz is dy where z is positive and 0 elsewhere; by scale the sum of dz * h, by bias of dz.
template <typename T>
class GroupNormReluGrad : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    using S = typename Stored<T>::type;
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    const Tensor& mean = context->input(4);
    const Tensor& inverse = context->input(5);
    const int64_t groups = mean.dims() == 2 ? mean.dim_size(1) : 0;
    OP_REQUIRES_OK(context, Check(x, context->input(2), context->input(3), groups));
    OP_REQUIRES(context, dy.shape() == x.shape() && mean.dim_size(0) == x.dim_size(0) && inverse.shape() == mean.shape(),
                InvalidArgument("dy must be as x, mean and inverse [N, groups]"));
    const Sizes sizes = SizesOf(x, groups);
    Tensor *dx, *dscale, *dbias;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, context->input(2).shape(), &dscale));
    OP_REQUIRES_OK(context, context->allocate_output(2, context->input(3).shape(), &dbias));

    const int64_t channels = sizes.channels;
    const Pieces pieces = sizes.pieces();
    const int64_t image_elements = sizes.positions * channels;
    const int64_t image_sums = pieces.count() * 2 * channels;
    std::vector<float> sums(sizes.images * image_sums, 0.0f);
    std::vector<double> totals(sizes.images * 2 * channels, 0.0);
    std::vector<float> affine(sizes.images * 4 * channels);
    const S* in = Elements<T>(x);
    const S* above = Elements<T>(dy);
    S* out = Elements<T>(dx);
    const float* scale = context->input(2).flat<float>().data();
    const float* bias = context->input(3).flat<float>().data();
    const float* means = mean.flat<float>().data();
    const float* inverses = inverse.flat<float>().data();
    std::vector<float> centre(sizes.images * channels);
    for (int64_t i = 0; i < sizes.images * channels; ++i) {
      const int64_t image = i / channels;
      centre[i] = means[image * groups + (i % channels) / sizes.group_channels()];
    }
    if (x.NumElements() > 0) {
      for (int64_t image = 0; image < sizes.images; ++image) {
        float* a = &affine[image * 4 * channels];
        Affine(sizes, means + image * groups, inverses + image * groups, scale, bias, a, a + channels);
      }
      PerImage(
          context, sizes,
          [&](int64_t image, int64_t piece) {
            const float* a = &affine[image * 4 * channels];
            const float* b = a + channels;
            const float* m = &centre[image * channels];
            float* sum = &sums[image * image_sums + piece * 2 * channels];
            float* weighted = sum + channels;
            GradientSums(in + image * image_elements, above + image * image_elements, pieces.begin(piece),
                         pieces.end(piece), channels, a, b, m, sum, weighted);
          },
          [&](int64_t image) {
            double* total = &totals[image * 2 * channels];
            for (int64_t piece = 0; piece < pieces.count(); ++piece)
              for (int64_t i = 0; i < 2 * channels; ++i) total[i] += sums[image * image_sums + piece * 2 * channels + i];
            const double count = static_cast<double>(sizes.positions * sizes.group_channels());
            for (int64_t group = 0; group < groups; ++group) {
              const double r = inverses[image * groups + group];
              double sum = 0;
              double weighted = 0;
              for (int64_t c = group * sizes.group_channels(); c < (group + 1) * sizes.group_channels(); ++c) {
                total[channels + c] *= r;
                sum += total[c] * scale[c];
                weighted += total[channels + c] * scale[c];
              }
              for (int64_t c = group * sizes.group_channels(); c < (group + 1) * sizes.group_channels(); ++c) {
                affine[(image * 4 + 2) * channels + c] = static_cast<float>(-r * r * weighted / count);
                affine[(image * 4 + 3) * channels + c] = static_cast<float>(-r * sum / count);
              }
            }
          },
          [&](int64_t image, int64_t piece) {
            const float* a = &affine[image * 4 * channels];
            const float* b = a + channels;
            const float* along = b + channels;
            const float* offset = along + channels;
            const float* m = &centre[image * channels];
            for (int64_t p = pieces.begin(piece); p < pieces.end(piece); ++p) {
              const S* from = in + image * image_elements + p * channels;
              const S* down = above + image * image_elements + p * channels;
              S* to = out + image * image_elements + p * channels;
              // dx may lie where dy does; an element of it needs no other's.
#pragma GCC ivdep
              for (int64_t c = 0; c < channels; ++c) {
                const float value = Load(from[c]);
                const float dz = Passed(down[c], value, a[c], b[c]);
                Save(a[c] * dz + ((value - m[c]) * along[c] + offset[c]), &to[c]);
              }
            }
          });
    }
    float* scales = dscale->flat<float>().data();
    float* biases = dbias->flat<float>().data();
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      double weighted = 0;
      for (int64_t image = 0; image < sizes.images; ++image) {
        sum += totals[image * 2 * channels + c];
        weighted += totals[(image * 2 + 1) * channels + c];
      }
      biases[c] = static_cast<float>(sum);
      scales[c] = static_cast<float>(weighted);
    }
  }
};

REGISTER_OP("FunmatchGroupNormRelu")
    .Input("x: T")
    .Input("scale: float")
    .Input("bias: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("inverse: float")
    .Attr("T: {float, bfloat16}")
    .Attr("groups: int")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) {
      int64_t groups;
      TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
      c->set_output(0, x);
      for (int i : {1, 2}) c->set_output(i, c->Matrix(c->Dim(x, 0), c->MakeDim(groups)));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchGroupNormReluGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("scale: float")
    .Input("bias: float")
    .Input("mean: float")
    .Input("inverse: float")
    .Output("dx: T")
    .Output("dscale: float")
    .Output("dbias: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      for (int i : {0, 1, 2}) c->set_output(i, c->input(i == 0 ? 1 : i + 1));
      return absl::OkStatus();
    });

#define REGISTER(T)                                                                                                    \
  REGISTER_KERNEL_BUILDER(Name("FunmatchGroupNormRelu").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),         \
                          GroupNormRelu<T>);                                                                           \
  REGISTER_KERNEL_BUILDER(Name("FunmatchGroupNormReluGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),     \
                          GroupNormReluGrad<T>);
REGISTER(float)
REGISTER(tensorflow::bfloat16)
#undef REGISTER

}  // namespace
}  // namespace funmatch
