import protobuf from "protobufjs";

/** What of onnx.proto the smallest useful network needs. */
const { root } = protobuf.parse(
  `
syntax = "proto3";
message Model { int64 ir_version = 1; repeated Opset opset_import = 8; Graph graph = 7; }
message Opset { string domain = 1; int64 version = 2; }
message Graph {
  repeated Node node = 1; string name = 2; repeated Tensor initializer = 5;
  repeated Value input = 11; repeated Value output = 12;
}
message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; }
message Attribute { string name = 1; int64 i = 3; Tensor t = 5; repeated int64 ints = 8; int32 type = 20; }
message Tensor {
  repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
  repeated Entry external_data = 13; int32 data_location = 14;
}
message Entry { string key = 1; string value = 2; }
message Value { string name = 1; Type type = 2; }
message Type { TensorType tensor_type = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Shape { repeated Dim dim = 1; }
message Dim { int64 dim_value = 1; string dim_param = 2; }
`,
  { keepCase: true },
);
const Model = root.lookupType("Model");

const FLOAT = 1;
const [INT_ATTRIBUTE, TENSOR_ATTRIBUTE, INTS_ATTRIBUTE] = [2, 4, 7];

/**
 * A network in ONNX whose answers can be worked out on paper: the mean of each channel over the image, times `kernel`
 * [3,K], plus `bias` [K]. Outputs are `logits` and, by softmax, `probabilities`.
 *
 * @param o.external the kernel lies in a file of that name
 * @param o.constant the kernel is no weight but a constant within a node
 */
export function meansNetwork(o: {
  kernel: readonly number[][];
  bias: readonly number[];
  side?: number;
  batch?: number;
  layout?: "nchw" | "nhwc";
  external?: string;
  constant?: boolean;
}): Uint8Array {
  const { layout = "nchw", side } = o;
  const classes = o.bias.length;
  const size = (value: number | undefined, name: string) =>
    value === undefined ? { dim_param: name } : { dim_value: value };
  const [height, width, channels] = [size(side, "H"), size(side, "W"), size(3, "")];
  const image = layout === "nchw" ? [channels, height, width] : [height, width, channels];
  const value = (name: string, dim: object[]) => ({
    name,
    type: { tensor_type: { elem_type: FLOAT, shape: { dim } } },
  });
  const rows = size(o.batch, "N");
  const answer = [rows, size(classes, "")];
  const kernel = {
    name: "kernel",
    data_type: FLOAT,
    dims: [3, classes],
    ...(o.external === undefined
      ? { raw_data: kernelBytes(o.kernel) }
      : { data_location: 1, external_data: [{ key: "location", value: o.external }] }),
  };
  const bias = { name: "bias", data_type: FLOAT, dims: [classes], raw_data: kernelBytes([o.bias]) };
  const axes = { name: "axes", ints: layout === "nchw" ? [2, 3] : [1, 2], type: INTS_ATTRIBUTE };
  const keepdims = { name: "keepdims", i: 0, type: INT_ATTRIBUTE };
  return Model.encode({
    ir_version: 8,
    opset_import: [{ domain: "", version: 13 }],
    graph: {
      name: "means",
      node: [
        ...(o.constant
          ? [
              {
                op_type: "Constant",
                output: ["kernel"],
                attribute: [{ name: "value", t: kernel, type: TENSOR_ATTRIBUTE }],
              },
            ]
          : []),
        { op_type: "ReduceMean", input: ["images"], output: ["means"], attribute: [axes, keepdims] },
        { op_type: "MatMul", input: ["means", "kernel"], output: ["product"] },
        { op_type: "Add", input: ["product", "bias"], output: ["logits"] },
        { op_type: "Softmax", input: ["logits"], output: ["probabilities"] },
      ],
      initializer: o.constant ? [bias] : [kernel, bias],
      input: [value("images", [rows, ...image])],
      output: [value("logits", answer), value("probabilities", answer)],
    },
  }).finish();
}

/** Rows of numbers as they lie in a file. */
export function kernelBytes(rows: readonly (readonly number[])[]): Uint8Array {
  return new Uint8Array(Float32Array.from(rows.flat()).buffer);
}
