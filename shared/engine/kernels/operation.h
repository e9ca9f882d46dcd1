// What every operation of ours is made with: TensorFlow's kernels and shapes by their short names, elements, threads.
#ifndef FUNMATCH_KERNELS_OPERATION_H_
#define FUNMATCH_KERNELS_OPERATION_H_

#include "element.h"
#include "parallel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace funmatch {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

}  // namespace funmatch

#endif  // FUNMATCH_KERNELS_OPERATION_H_
