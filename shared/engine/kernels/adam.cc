// Clip, Adam, decoupled weight decay and subtraction of one parameter in one pass over its numbers, and the sums of
// squares that the norms before and after it are made of.
#include <cmath>
#include <vector>

#include "operation.h"

namespace funmatch {
namespace {

constexpr int64_t kPieceElements = 16384;

// work(begin, end) answers the sum over its piece; the pieces are added in order.
template <typename Work>
float SumOfPieces(OpKernelContext* context, int64_t elements, const Work& work) {
  const Pieces pieces = {elements, kPieceElements};
  std::vector<double> sums(pieces.count());
  ForEach(context, pieces.count(), [&](int64_t piece) { sums[piece] = work(pieces.begin(piece), pieces.end(piece)); });
  double total = 0;
  for (const double sum : sums) total += sum;
  return static_cast<float>(total);
}

// The sum of the squares, in float over short runs and in double over those.
double SquaresOf(const float* x, int64_t begin, int64_t end) {
  constexpr int64_t kRun = 1024;
  double total = 0;
  for (int64_t start = begin; start < end; start += kRun) {
    const int64_t stop = std::min(end, start + kRun);
    float sum = 0;
    for (int64_t i = start; i < stop; ++i) sum += x[i] * x[i];
    total += sum;
  }
  return total;
}

class SumOfSquares : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    Tensor* sum;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({}), &sum));
    const float* in = x.flat<float>().data();
    sum->scalar<float>()() = SumOfPieces(context, x.NumElements(),
                                         [in](int64_t begin, int64_t end) { return SquaresOf(in, begin, end); });
  }
};

float Rounded(float value) {
  Half half;
  Save(value, &half);
  return Load(half);
}

// The numbers that are the same for the whole parameter.
struct Step {
  float clipping, rate, epsilon, decay;
  float keep1, take1, keep2, take2;
};

// Adam's rule over [begin, end); answers the sum of the squared updates. With kHalf the first moment is kept in
// bfloat16 and multiplied in it, as optax does: its decay rate and the product are rounded too.
template <bool kHalf>
double Update(const Step& s, int64_t begin, int64_t end, const float* param, const float* gradient, const float* mu,
              const float* nu, float* new_param, float* new_mu, float* new_nu) {
  constexpr int64_t kRun = 1024;
  double total = 0;
  for (int64_t start = begin; start < end; start += kRun) {
    const int64_t stop = std::min(end, start + kRun);
    float sum = 0;
    // new_mu may lie where the gradient does; an element of it needs no other's.
#pragma GCC ivdep
    for (int64_t i = start; i < stop; ++i) {
      const float g = gradient[i] * s.clipping;
      const float kept = mu[i] * s.keep1;
      const float m = (kHalf ? Rounded(kept) : kept) + g * s.take1;
      const float v = nu[i] * s.keep2 + g * g * s.take2;
      const float update = m * s.rate / (std::sqrt(v) + s.epsilon) + param[i] * s.decay;
      new_param[i] = param[i] - update;
      new_mu[i] = kHalf ? Rounded(m) : m;
      new_nu[i] = v;
      sum += update * update;
    }
    total += sum;
  }
  return total;
}

class Adam : public OpKernel {
 public:
  explicit Adam(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("keep1", &step_.keep1));
    OP_REQUIRES_OK(construction, construction->GetAttr("take1", &step_.take1));
    OP_REQUIRES_OK(construction, construction->GetAttr("keep2", &step_.keep2));
    OP_REQUIRES_OK(construction, construction->GetAttr("take2", &step_.take2));
    OP_REQUIRES_OK(construction, construction->GetAttr("narrow", &narrow_));
    if (narrow_) step_.keep1 = Rounded(step_.keep1);
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& param = context->input(0);
    for (int i = 1; i < 4; ++i)
      OP_REQUIRES(context, context->input(i).shape() == param.shape(),
                  InvalidArgument("gradient, mu and nu must be as the parameter"));
    for (int i = 4; i < 8; ++i)
      OP_REQUIRES(context, context->input(i).NumElements() == 1,
                  InvalidArgument("clipping, rate, epsilon and decay are numbers"));
    Step step = step_;
    step.clipping = context->input(4).flat<float>()(0);
    step.rate = context->input(5).flat<float>()(0);
    step.epsilon = context->input(6).flat<float>()(0);
    step.decay = context->input(7).flat<float>()(0);
    Tensor *new_param, *new_mu, *new_nu, *squares;
    OP_REQUIRES_OK(context, context->allocate_output(0, param.shape(), &new_param));
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({1}, 1, param.shape(), &new_mu));
    OP_REQUIRES_OK(context, context->allocate_output(2, param.shape(), &new_nu));
    OP_REQUIRES_OK(context, context->allocate_output(3, TensorShape({}), &squares));
    const auto in = [&](int i) { return context->input(i).flat<float>().data(); };
    const float *p = in(0), *g = in(1), *m = in(2), *v = in(3);
    float* p_out = new_param->flat<float>().data();
    float* m_out = new_mu->flat<float>().data();
    float* v_out = new_nu->flat<float>().data();
    squares->scalar<float>()() = SumOfPieces(context, param.NumElements(), [&](int64_t begin, int64_t end) {
      return narrow_ ? Update<true>(step, begin, end, p, g, m, v, p_out, m_out, v_out)
                   : Update<false>(step, begin, end, p, g, m, v, p_out, m_out, v_out);
    });
  }

 private:
  Step step_;
  bool narrow_;
};

REGISTER_OP("FunmatchSumOfSquares")
    .Input("x: T")
    .Output("sum: T")
    .Attr("T: {float}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Scalar());
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchAdam")
    .Input("param: T")
    .Input("gradient: T")
    .Input("mu: T")
    .Input("nu: T")
    .Input("clipping: T")
    .Input("rate: T")
    .Input("epsilon: T")
    .Input("decay: T")
    .Output("new_param: T")
    .Output("new_mu: T")
    .Output("new_nu: T")
    .Output("squares: T")
    .Attr("T: {float}")
    .Attr("keep1: float")
    .Attr("take1: float")
    .Attr("keep2: float")
    .Attr("take2: float")
    .Attr("narrow: bool")
    .SetShapeFn([](InferenceContext* c) {
      for (int i : {0, 1, 2}) c->set_output(i, c->input(0));
      c->set_output(3, c->Scalar());
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("FunmatchSumOfSquares").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
                        SumOfSquares);
REGISTER_KERNEL_BUILDER(Name("FunmatchAdam").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), Adam);

}  // namespace
}  // namespace funmatch
