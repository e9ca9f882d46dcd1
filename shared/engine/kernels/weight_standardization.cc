// Standardises the columns of a kernel, which are its output channels: mean 0, population variance 1; and the gradient.
//
// A thread takes a block of columns from first row to last, twice, so that the second reading is from its own cache.
#include <cmath>

#include "operation.h"

namespace funmatch {
namespace {

constexpr int64_t kColumns = 32;
// Rows whose sum is taken in float, before it goes into a double.
constexpr int64_t kRows = 64;

// Two sums for each column of a block, over all rows. term(row, column, &first, &second) tells what is added to them.
struct Sums {
  double first[kColumns];
  double second[kColumns];
};

template <int64_t kWidth, typename Term>
void AddRows(int64_t begin, int64_t end, int64_t width, const Term& term, Sums* sums) {
  float first[kColumns] = {};
  float second[kColumns] = {};
  // A width that the compiler knows stays in registers.
  const int64_t columns = kWidth > 0 ? kWidth : width;
  for (int64_t row = begin; row < end; ++row)
    for (int64_t column = 0; column < columns; ++column) term(row, column, &first[column], &second[column]);
  for (int64_t column = 0; column < columns; ++column) {
    sums->first[column] += first[column];
    sums->second[column] += second[column];
  }
}

template <typename Term>
Sums SumRows(int64_t rows, int64_t width, const Term& term) {
  Sums sums = {};
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t end = std::min(rows, row + kRows);
    if (width == kColumns) {
      AddRows<kColumns>(row, end, width, term, &sums);
    } else {
      AddRows<0>(row, end, width, term, &sums);
    }
  }
  return sums;
}

// Calls write(row, column) for the whole block.
template <typename Write>
void WriteRows(int64_t rows, int64_t width, const Write& write) {
  for (int64_t row = 0; row < rows; ++row) {
    if (width == kColumns) {
#pragma GCC ivdep
      for (int64_t column = 0; column < kColumns; ++column) write(row, column);
    } else {
      for (int64_t column = 0; column < width; ++column) write(row, column);
    }
  }
}

class WeightStandardization : public OpKernel {
 public:
  explicit WeightStandardization(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &epsilon_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& kernel = context->input(0);
    OP_REQUIRES(context, kernel.dims() >= 2,
                InvalidArgument("a kernel has columns, not shape ", kernel.shape().DebugString()));
    const int64_t columns = kernel.dim_size(kernel.dims() - 1);
    Tensor *standard, *inverse;
    OP_REQUIRES_OK(context, context->allocate_output(0, kernel.shape(), &standard));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({columns}), &inverse));
    if (kernel.NumElements() == 0) return;
    const int64_t rows = kernel.NumElements() / columns;
    const float* in = kernel.flat<float>().data();
    float* out = standard->flat<float>().data();
    float* inverses = inverse->flat<float>().data();
    const Pieces blocks = {columns, kColumns};
    ForEach(context, blocks.count(), [&](int64_t block) {
      const int64_t start = blocks.begin(block);
      const int64_t width = blocks.end(block) - start;
      const float* from = in + start;
      float shift[kColumns];
      std::copy(from, from + width, shift);
      // Around the first row, so that a large mean costs no digits.
      const Sums sums = SumRows(rows, width, [&](int64_t row, int64_t column, float* sum, float* square) {
        const float d = from[row * columns + column] - shift[column];
        *sum += d;
        *square += d * d;
      });
      float mean[kColumns];
      float scale[kColumns];
      for (int64_t column = 0; column < width; ++column) {
        const double around = sums.first[column] / static_cast<double>(rows);
        const double mean_square = sums.second[column] / static_cast<double>(rows) - around * around;
        const double variance = mean_square < 0.0 ? 0.0 : mean_square;  // NaN stays NaN
        mean[column] = static_cast<float>(shift[column] + around);
        scale[column] = static_cast<float>(1.0 / std::sqrt(variance + epsilon_));
      }
      std::copy(scale, scale + width, inverses + start);
      WriteRows(rows, width, [&, to = out + start](int64_t row, int64_t column) {
        to[row * columns + column] = (from[row * columns + column] - mean[column]) * scale[column];
      });
    });
  }

 private:
  float epsilon_;
};

// The gradient by the kernel: inverse * (d - mean of d - y * mean of (d * y)), d that by the standardised kernel y.
class WeightStandardizationGrad : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& above = context->input(0);
    const Tensor& standard = context->input(1);
    const Tensor& inverse = context->input(2);
    const int64_t columns = inverse.NumElements();
    OP_REQUIRES(context,
                above.shape() == standard.shape() && above.dims() >= 2 && above.dim_size(above.dims() - 1) == columns,
                InvalidArgument("dy must be as y, inverse [columns]"));
    Tensor* below;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, above.shape(), &below));
    if (above.NumElements() == 0) return;
    const int64_t rows = above.NumElements() / columns;
    const float* d = above.flat<float>().data();
    const float* y = standard.flat<float>().data();
    const float* inverses = inverse.flat<float>().data();
    float* out = below->flat<float>().data();
    const Pieces blocks = {columns, kColumns};
    ForEach(context, blocks.count(), [&](int64_t block) {
      const int64_t start = blocks.begin(block);
      const int64_t width = blocks.end(block) - start;
      const Sums sums = SumRows(rows, width, [&](int64_t row, int64_t column, float* sum, float* along) {
        const int64_t at = row * columns + start + column;
        *sum += d[at];
        *along += d[at] * y[at];
      });
      float scale[kColumns];
      float offset[kColumns];
      float along[kColumns];
      for (int64_t column = 0; column < width; ++column) {
        scale[column] = inverses[start + column];
        offset[column] = static_cast<float>(sums.first[column] / static_cast<double>(rows));
        along[column] = static_cast<float>(sums.second[column] / static_cast<double>(rows));
      }
      WriteRows(rows, width, [&](int64_t row, int64_t column) {
        const int64_t at = row * columns + start + column;
        out[at] = scale[column] * (d[at] - offset[column] - y[at] * along[column]);
      });
    });
  }
};

REGISTER_OP("FunmatchWeightStandardization")
    .Input("kernel: T")
    .Output("standard: T")
    .Output("inverse: T")
    .Attr("T: {float}")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle kernel;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 2, &kernel));
      c->set_output(0, kernel);
      c->set_output(1, c->Vector(c->Dim(kernel, -1)));
      return absl::OkStatus();
    });

REGISTER_OP("FunmatchWeightStandardizationGrad")
    .Input("dy: T")
    .Input("standard: T")
    .Input("inverse: T")
    .Output("dkernel: T")
    .Attr("T: {float}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("FunmatchWeightStandardization").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
                        WeightStandardization);
REGISTER_KERNEL_BUILDER(
    Name("FunmatchWeightStandardizationGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    WeightStandardizationGrad);

}  // namespace
}  // namespace funmatch
