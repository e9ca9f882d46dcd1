// Max-pooling that looks past the border, where nothing is, and its gradient. The place of each maximum in its window
// is kept, so the gradient neither compares nor scatters: each element of the image gathers from the windows over it.
#include <limits>

#include "operation.h"

namespace funmatch {
namespace {

// Square windows of `side`, `stride` apart, over an image with `pad` on every side.
struct Windows {
  int64_t side, stride, pad;
  int64_t count(int64_t length) const { return (length + 2 * pad - side) / stride + 1; }
  int64_t begin(int64_t index) const { return index * stride - pad; }
};

class MaxPool : public OpKernel {
 public:
  explicit MaxPool(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("side", &windows_.side));
    OP_REQUIRES_OK(construction, construction->GetAttr("stride", &windows_.stride));
    OP_REQUIRES_OK(construction, construction->GetAttr("pad", &windows_.pad));
    const Windows& w = windows_;
    OP_REQUIRES(construction, w.side > 0 && w.stride > 0 && w.pad >= 0 && w.pad < w.side,
                InvalidArgument("windows of ", w.side, ", stride ", w.stride, ", padding ", w.pad));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Windows w = windows_;
    OP_REQUIRES(context, x.dims() == 4 && x.dim_size(1) + 2 * w.pad >= w.side && x.dim_size(2) + 2 * w.pad >= w.side,
                InvalidArgument("x must be [N, H, W, C] and hold a window, not ", x.shape().DebugString()));
    const int64_t height = x.dim_size(1), width = x.dim_size(2), channels = x.dim_size(3);
    const int64_t down = w.count(height), across = w.count(width);
    const TensorShape shape({x.dim_size(0), down, across, channels});
    Tensor *y, *place;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, shape, &place));
    const float* in = x.flat<float>().data();
    float* out = y->flat<float>().data();
    int32_t* places = place->flat<int32_t>().data();
    ForEach(context, x.dim_size(0) * down, [&](int64_t row) {
      const float* image = in + row / down * height * width * channels;
      const int64_t top = w.begin(row % down);
      for (int64_t column = 0; column < across; ++column) {
        const int64_t left = w.begin(column);
        float* __restrict best = out + (row * across + column) * channels;
        int32_t* __restrict at = places + (row * across + column) * channels;
        std::fill(best, best + channels, -std::numeric_limits<float>::infinity());
        std::fill(at, at + channels, -1);
        for (int64_t i = std::max<int64_t>(0, -top); i < w.side && top + i < height; ++i) {
          for (int64_t j = std::max<int64_t>(0, -left); j < w.side && left + j < width; ++j) {
            const float* from = image + ((top + i) * width + left + j) * channels;
            const int32_t here = static_cast<int32_t>(i * w.side + j);
            for (int64_t c = 0; c < channels; ++c) {
              // The first of equals; the first of all is taken even if it is minus infinity, and NaN stays.
              const bool better = from[c] > best[c] || from[c] != from[c] || at[c] < 0;
              best[c] = better ? from[c] : best[c];
              at[c] = better ? here : at[c];
            }
          }
        }
      }
    });
  }

 private:
  Windows windows_;
};

class MaxPoolGrad : public OpKernel {
 public:
  explicit MaxPoolGrad(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("side", &windows_.side));
    OP_REQUIRES_OK(construction, construction->GetAttr("stride", &windows_.stride));
    OP_REQUIRES_OK(construction, construction->GetAttr("pad", &windows_.pad));
    OP_REQUIRES_OK(construction, construction->GetAttr("height", &height_));
    OP_REQUIRES_OK(construction, construction->GetAttr("width", &width_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& place = context->input(1);
    const Windows w = windows_;
    OP_REQUIRES(context, dy.dims() == 4 && dy.shape() == place.shape() && w.count(height_) == dy.dim_size(1) &&
                             w.count(width_) == dy.dim_size(2),
                InvalidArgument("dy and place must be as the pooled image"));
    const int64_t down = dy.dim_size(1), across = dy.dim_size(2), channels = dy.dim_size(3);
    Tensor* dx;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({dy.dim_size(0), height_, width_, channels}), &dx));
    const float* above = dy.flat<float>().data();
    const int32_t* places = place.flat<int32_t>().data();
    float* out = dx->flat<float>().data();
    ForEach(context, dy.dim_size(0) * height_, [&](int64_t row) {
      const int64_t image = row / height_;
      const int64_t y = row % height_;
      for (int64_t x = 0; x < width_; ++x) {
        float* __restrict to = out + (row * width_ + x) * channels;
        std::fill(to, to + channels, 0.0f);
        for (int64_t i = First(y); i < down && w.begin(i) <= y; ++i) {
          for (int64_t j = First(x); j < across && w.begin(j) <= x; ++j) {
            const int64_t at = ((image * down + i) * across + j) * channels;
            const int32_t here = static_cast<int32_t>((y - w.begin(i)) * w.side + x - w.begin(j));
            for (int64_t c = 0; c < channels; ++c) {
              const float gradient = above[at + c];
              to[c] += places[at + c] == here ? gradient : 0.0f;
            }
          }
        }
      }
    });
  }

 private:
  // The first window that reaches as far as this position.
  int64_t First(int64_t position) const {
    const int64_t before = position + windows_.pad - windows_.side + 1;
    return before <= 0 ? 0 : (before + windows_.stride - 1) / windows_.stride;
  }

  Windows windows_;
  int64_t height_, width_;
};

REGISTER_OP("FunmatchMaxPool")
    .Input("x: T")
    .Output("y: T")
    .Output("place: int32")
    .Attr("T: {float}")
    .Attr("side: int")
    .Attr("stride: int")
    .Attr("pad: int")
    .SetShapeFn([](InferenceContext* c) {
      for (int i : {0, 1}) c->set_output(i, c->UnknownShapeOfRank(4));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchMaxPoolGrad")
    .Input("dy: T")
    .Input("place: int32")
    .Output("dx: T")
    .Attr("T: {float}")
    .Attr("side: int")
    .Attr("stride: int")
    .Attr("pad: int")
    .Attr("height: int")
    .Attr("width: int")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->UnknownShapeOfRank(4));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("FunmatchMaxPool").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), MaxPool);
REGISTER_KERNEL_BUILDER(Name("FunmatchMaxPoolGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
                        MaxPoolGrad);

}  // namespace
}  // namespace funmatch
