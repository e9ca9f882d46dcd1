// Convolution of images [N, H, W, C] with a square kernel [side, side, C, O], the images padded with zeros by the same
// on every side, and its two gradients. 3x3 kernels of stride 1 by Winograd's algorithm, all others as matrix products.
//
// The order in which a sum is taken depends on the kernel's shape alone (for the gradient by the kernel also on the
// images'), not on the number of threads: results are the same bits, and each image's are as if it were alone.
//
// Images and their gradients are float or bfloat16 (T); what is multiplied and summed is float, and so are kernels.
#include "conv_winograd_by_kernel.h"
#include "operation.h"

namespace funmatch {
namespace {

float* Floats(Tensor* tensor) { return tensor->flat<float>().data(); }
const float* Floats(const Tensor& tensor) { return tensor.flat<float>().data(); }

template <typename T>
void SetZero(Tensor* tensor) {
  std::fill_n(Elements<T>(tensor), tensor->NumElements(), typename Stored<T>::type{});
}

class ConvolutionBase : public OpKernel {
 public:
  explicit ConvolutionBase(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("stride", &stride_));
    OP_REQUIRES_OK(construction, construction->GetAttr("pad", &pad_));
  }

 protected:
  tensorflow::Status Check(const Convolution& conv) const {
    if (conv.side > conv.height + 2 * conv.pad || conv.side > conv.width + 2 * conv.pad)
      return InvalidArgument("a kernel of ", conv.side, " does not fit ", conv.height, " x ", conv.width,
                             " pixels padded by ", conv.pad);
    return absl::OkStatus();
  }

  static Each EachOf(OpKernelContext* context) {
    return [context](int64_t total, const std::function<void(int64_t)>& work) { ForEach(context, total, work); };
  }

  int64_t stride_;
  int64_t pad_;
};

tensorflow::Status CheckRank(const Tensor& tensor, const char* name) {
  if (tensor.dims() != 4) return InvalidArgument(name, " must have 4 axes, not ", tensor.shape().DebugString());
  return absl::OkStatus();
}

tensorflow::Status CheckKernel(const Tensor& kernel, const char* pixels, int64_t channels, int axis) {
  TF_RETURN_IF_ERROR(CheckRank(kernel, "kernel"));
  if (kernel.dim_size(0) < 1 || kernel.dim_size(0) != kernel.dim_size(1) || kernel.dim_size(axis) != channels)
    return InvalidArgument("a kernel of ", kernel.shape().DebugString(), " does not go with ", pixels, " of ", channels,
                           " channels");
  return absl::OkStatus();
}

template <typename T>
class ConvolutionOp : public ConvolutionBase {
 public:
  explicit ConvolutionOp(OpKernelConstruction* construction) : ConvolutionBase(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("constant", &constant_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& kernel = context->input(1);
    OP_REQUIRES_OK(context, CheckRank(x, "x"));
    OP_REQUIRES_OK(context, CheckKernel(kernel, "images", x.dim_size(3), 2));
    const Convolution conv{x.dim_size(0), x.dim_size(1), x.dim_size(2),     x.dim_size(3),
                           kernel.dim_size(0), stride_,   pad_,            kernel.dim_size(3)};
    OP_REQUIRES_OK(context, Check(conv));
    Tensor* y;
    const TensorShape shape({conv.images, conv.out_height(), conv.out_width(), conv.outputs});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &y));
    if (y->NumElements() == 0) return;
    if (x.NumElements() == 0) return SetZero<T>(y);
    Tensor packed;  // held until it is used: another run may pack another kernel
    if (constant_) OP_REQUIRES_OK(context, Packed(context, conv, kernel, &packed));
    const float* weights = Floats(constant_ ? packed : kernel);
    if (!winograd::Suits(conv))
      return ConvolvePatches(EachOf(context), Threads(context), conv, Elements<T>(x), weights, constant_, Elements<T>(y));
    const winograd::Plan plan{winograd::TilesOf(conv), conv.channels, conv.outputs};
    Tensor shared;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({plan.shared()}), &shared));
    winograd::Convolve(EachOf(context), plan, Elements<T>(x), {weights, conv.channels, conv.outputs, false, constant_},
                       Floats(&shared), Elements<T>(y));
  }

 private:
  // The kernel packed: as it was at the last call, if that was the same tensor. It is held, so that nothing else can
  // come to lie where it does.
  tensorflow::Status Packed(OpKernelContext* context, const Convolution& conv, const Tensor& kernel, Tensor* packed) {
    const bool suits = winograd::Suits(conv);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!kernel.SharesBufferWith(kernel_) || kernel.shape() != kernel_.shape() || suits != suits_) {
      const winograd::Kernel whole{Floats(kernel), conv.channels, conv.outputs, false, false};
      const int64_t floats = suits ? whole.packed_floats() : PackedPatches(conv);
      Tensor fresh;
      TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({floats}), &fresh));
      if (suits)
        whole.Pack(Floats(&fresh));
      else
        PackPatches(conv, Floats(kernel), Floats(&fresh));
      packed_ = fresh;
      kernel_ = kernel;
      suits_ = suits;
    }
    *packed = packed_;
    return absl::OkStatus();
  }

  bool constant_;
  std::mutex mutex_;
  Tensor kernel_, packed_;
  bool suits_ = false;
};

template <typename T>
class ConvolutionByInputOp : public ConvolutionBase {
 public:
  explicit ConvolutionByInputOp(OpKernelConstruction* construction) : ConvolutionBase(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("height", &height_));
    OP_REQUIRES_OK(construction, construction->GetAttr("width", &width_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& kernel = context->input(1);
    OP_REQUIRES_OK(context, CheckRank(dy, "dy"));
    OP_REQUIRES_OK(context, CheckKernel(kernel, "gradients", dy.dim_size(3), 3));
    const Convolution conv{dy.dim_size(0), height_, width_, kernel.dim_size(2), kernel.dim_size(0), stride_, pad_,
                           kernel.dim_size(3)};
    OP_REQUIRES_OK(context, Check(conv));
    OP_REQUIRES(context, dy.dim_size(1) == conv.out_height() && dy.dim_size(2) == conv.out_width(),
                InvalidArgument("dy must be [N, ", conv.out_height(), ", ", conv.out_width(), ", O]"));
    Tensor* dx;
    const TensorShape shape({conv.images, conv.height, conv.width, conv.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dx));
    if (dx->NumElements() == 0) return;
    if (dy.NumElements() == 0) return SetZero<T>(dx);
    if (!winograd::Suits(conv))
      return ConvolvePatchesByInput(EachOf(context), Threads(context), conv, Elements<T>(dy), Floats(kernel),
                                    Elements<T>(dx));
    const winograd::Plan plan{winograd::TilesOf(conv), conv.outputs, conv.channels};
    Tensor shared;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({plan.shared()}), &shared));
    winograd::Convolve(EachOf(context), plan, Elements<T>(dy), {Floats(kernel), conv.channels, conv.outputs, true, false},
                       Floats(&shared), Elements<T>(dx));
  }

 private:
  int64_t height_;
  int64_t width_;
};

template <typename T>
class ConvolutionByKernelOp : public ConvolutionBase {
 public:
  explicit ConvolutionByKernelOp(OpKernelConstruction* construction) : ConvolutionBase(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("side", &side_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& dy = context->input(1);
    OP_REQUIRES_OK(context, CheckRank(x, "x"));
    OP_REQUIRES_OK(context, CheckRank(dy, "dy"));
    const Convolution conv{x.dim_size(0), x.dim_size(1), x.dim_size(2), x.dim_size(3), side_, stride_, pad_,
                           dy.dim_size(3)};
    OP_REQUIRES_OK(context, Check(conv));
    OP_REQUIRES(context,
                dy.dim_size(0) == conv.images && dy.dim_size(1) == conv.out_height() &&
                    dy.dim_size(2) == conv.out_width(),
                InvalidArgument("dy must be [", conv.images, ", ", conv.out_height(), ", ", conv.out_width(), ", O]"));
    Tensor* dkernel;
    const TensorShape shape({side_, side_, conv.channels, conv.outputs});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dkernel));
    if (dkernel->NumElements() == 0) return;
    if (dy.NumElements() == 0) return SetZero<float>(dkernel);
    const winograd::KernelPlan plan{winograd::TilesOf(conv), conv.channels, conv.outputs};
    const bool suits = winograd::Suits(conv);
    const int64_t floats = suits ? plan.shared() : (KernelSlices(conv) - 1) * dkernel->NumElements();
    Tensor shared;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({floats}), &shared));
    if (suits)
      winograd::ConvolveByKernel(EachOf(context), plan, Elements<T>(x), Elements<T>(dy), Floats(&shared),
                                 Floats(dkernel));
    else
      ConvolvePatchesByKernel(EachOf(context), conv, Elements<T>(x), Elements<T>(dy), Floats(&shared),
                              Floats(dkernel));
  }

 private:
  int64_t side_;
};

tensorflow::Status ConvolutionShape(InferenceContext* c) {
  int64_t stride, pad;
  TF_RETURN_IF_ERROR(c->GetAttr("stride", &stride));
  TF_RETURN_IF_ERROR(c->GetAttr("pad", &pad));
  ShapeHandle x, kernel;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &kernel));
  const auto out = [&](int axis) {
    const DimensionHandle size = c->Dim(x, axis), side = c->Dim(kernel, 0);
    if (!c->ValueKnown(size) || !c->ValueKnown(side)) return c->UnknownDim();
    const int64_t steps = (c->Value(size) + 2 * pad - c->Value(side)) / stride + 1;
    return steps < 0 ? c->UnknownDim() : c->MakeDim(steps);
  };
  c->set_output(0, c->MakeShape({c->Dim(x, 0), out(1), out(2), c->Dim(kernel, 3)}));
  return absl::OkStatus();
}

REGISTER_OP("FunmatchConvolution")
    .Input("x: T")
    .Input("kernel: float")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .Attr("stride: int >= 1")
    .Attr("pad: int >= 0")
    .Attr("constant: bool = false")  // the kernel is the same tensor in every run: it is packed once
    .SetShapeFn(ConvolutionShape);

REGISTER_OP("FunmatchConvolutionByInput")
    .Input("dy: T")
    .Input("kernel: float")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .Attr("stride: int >= 1")
    .Attr("pad: int >= 0")
    .Attr("height: int >= 0")
    .Attr("width: int >= 0")
    .SetShapeFn([](InferenceContext* c) {
      int64_t height, width;
      TF_RETURN_IF_ERROR(c->GetAttr("height", &height));
      TF_RETURN_IF_ERROR(c->GetAttr("width", &width));
      ShapeHandle dy, kernel;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &dy));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &kernel));
      c->set_output(0, c->MakeShape({c->Dim(dy, 0), c->MakeDim(height), c->MakeDim(width), c->Dim(kernel, 2)}));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchConvolutionByKernel")
    .Input("x: T")
    .Input("dy: T")
    .Output("dkernel: float")
    .Attr("T: {float, bfloat16}")
    .Attr("stride: int >= 1")
    .Attr("pad: int >= 0")
    .Attr("side: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      int64_t side;
      TF_RETURN_IF_ERROR(c->GetAttr("side", &side));
      ShapeHandle x, dy;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &dy));
      c->set_output(0, c->MakeShape({c->MakeDim(side), c->MakeDim(side), c->Dim(x, 3), c->Dim(dy, 3)}));
      return absl::OkStatus();
    });

#define REGISTER(name, op)                                                                                      \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), op<float>);     \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<tensorflow::bfloat16>("T"), \
                          op<tensorflow::bfloat16>);
REGISTER("FunmatchConvolution", ConvolutionOp)
REGISTER("FunmatchConvolutionByInput", ConvolutionByInputOp)
REGISTER("FunmatchConvolutionByKernel", ConvolutionByKernelOp)
#undef REGISTER

}  // namespace
}  // namespace funmatch
