import * as tf from "@tensorflow/tfjs-core";
import { cpuFlags } from "./cpu-flags.ts";
import { DT, type Native, type NativeAttr, nativeBackend, type TensorHandle } from "./native.ts";
import { withoutKernels } from "./own-kernels.ts";

/**
 * Operations whose `T` becomes bfloat16, with the places of the operands that are rounded: convolutions and products,
 * and of our own operations those that stand between them. Ours compute in float32 whatever they read, and what they
 * read and write is rounded for the convolution before or behind them in any case: it is half the memory to go through.
 * Not among them: depthwise convolutions, which TensorFlow's CPU kernels compute more slowly in bfloat16.
 */
const ROUNDED: Record<string, number[]> = {
  FunmatchConvolution: [0],
  FunmatchConvolutionByInput: [0],
  FunmatchConvolutionByKernel: [0, 1],
  FunmatchGroupNormRelu: [0],
  FunmatchGroupNormReluGrad: [0, 1],
  FunmatchChannelMoments: [0],
  FunmatchBatchNorm: [0],
  FunmatchBatchNormGrad: [0, 1],
  BatchMatMulV2: [0, 1],
  Einsum: [0, 1],
  Conv2D: [0, 1],
  Conv2DBackpropInput: [1, 2],
  Conv2DBackpropFilter: [0, 2],
  Conv3D: [0, 1],
  Conv3DBackpropInputV2: [1, 2],
  Conv3DBackpropFilterV2: [0, 2],
};

/** Of these, whose result stays float32. */
const WIDE_RESULT = ["FunmatchConvolutionByKernel", "FunmatchChannelMoments"];

const OWN_CONVOLUTION = "FunmatchConvolution";
const MATRIX_PRODUCTS = ["BatchMatMulV2", "Einsum"];

/**
 * Whether bfloat16 is only how numbers are stored, and the products of them are taken in float32: convolutions by our
 * own, which widens what it reads, others by TensorFlow's on rounded operands. So where a CPU has no matrix
 * instructions for bfloat16: its vector instructions for it did half the products of those for float32 where that was
 * measured (Intel, AVX-512 with BF16).
 */
function isStorageOnly(): boolean {
  return tf.getKernel(OWN_CONVOLUTION, tf.getBackend()) !== undefined && !cpuFlags().includes("amx_bf16");
}

/** Name of a `tf.tidy` in which products stay in float32. */
const EXACT = "float32";

/**
 * Runs `fn` with its convolutions and matrix products, and those of the gradients that it takes, computed in bfloat16:
 * their float32 operands are rounded, their results widened to float32 again. All else (statistics, activations,
 * sums) stays in float32, and so do products within `tf.tidy("float32", …)`. For captured functions as well as for tfjs's
 * own way.
 *
 * @example const { value, grads } = productsInBfloat16(() => tf.valueAndGrads(loss)(parameters));
 */
export function productsInBfloat16<T>(fn: () => T): T {
  const backend = nativeBackend();
  const { binding } = backend;
  const storage = isStorageOnly();
  const rounding = roundedProducts(binding, storage ? MATRIX_PRODUCTS : []);
  backend.binding = rounding.binding;
  try {
    return storage ? fn() : withoutKernels(fn, [OWN_CONVOLUTION]);
  } finally {
    backend.binding = binding;
    rounding.free();
  }
}

/**
 * The binding with rounded products, and a function that frees what was rounded on the way.
 *
 * @param inFloat32 the products that are computed in float32, of operands that are rounded all the same
 */
function roundedProducts(native: Native, inFloat32: string[]): { binding: Native; free(): void } {
  /** What tfjs does not know of, so that it cannot free it. */
  const ours: number[] = [];
  const castTo = (id: number, from: number, to: number): number => {
    const { id: made } = cast(native, id, from, to);
    ours.push(made);
    return made;
  };
  /** Of a float32 tensor, by its number, its bfloat16 twin and that one in float32 again: each is made once. */
  const twins = new Map<number, number>();
  const rounded = new Map<number, number>();
  const twinOf = (id: number): number => {
    if (!twins.has(id)) twins.set(id, castTo(id, DT.float, DT.bfloat16));
    return twins.get(id)!;
  };
  const roundedOf = (id: number): number => {
    if (!rounded.has(id)) rounded.set(id, castTo(twinOf(id), DT.bfloat16, DT.float));
    return rounded.get(id)!;
  };
  const widened = (twin: number): TensorHandle => {
    const wide = cast(native, twin, DT.bfloat16, DT.float);
    twins.set(wide.id, twin);
    rounded.set(wide.id, wide.id);
    return wide;
  };
  const executeOp: Native["executeOp"] = (op, attrs, ids, outputs) => {
    const type = attrs.find((attr) => attr.name === "T");
    const places = ROUNDED[op];
    if (places === undefined || type?.value !== DT.float || isExact())
      return native.executeOp(op, attrs, ids, outputs);
    if (inFloat32.includes(op)) {
      const [product] = native.executeOp(op, attrs, ids.map(roundedOf), outputs);
      ours.push(product!.id);
      return [widened(twinOf(product!.id))];
    }
    const results = native.executeOp(
      op,
      attrs.map((attr) => (attr === type ? { ...attr, value: DT.bfloat16 } : attr)),
      ids.map((id, place) => (places.includes(place) ? twinOf(id) : id)),
      outputs,
    );
    if (WIDE_RESULT.includes(op)) return results;
    const [first, ...others] = results;
    ours.push(first!.id);
    return [widened(first!.id), ...others];
  };
  return {
    binding: Object.create(native, Object.getOwnPropertyDescriptors({ executeOp })) as Native,
    free: () => {
      for (const id of ours) native.deleteTensor(id);
    },
  };
}

/** The tensor of that number as another element type; rounding is to the nearest, ties to even. */
export function cast(native: Native, id: number, from: number, to: number): TensorHandle {
  const attrs: NativeAttr[] = [
    { name: "SrcT", type: native.TF_ATTR_TYPE, value: from },
    { name: "DstT", type: native.TF_ATTR_TYPE, value: to },
    { name: "Truncate", type: native.TF_ATTR_BOOL, value: false },
  ];
  return native.executeOp("Cast", attrs, [id], 1)[0]!;
}

function isExact(): boolean {
  return tf.engine().state.scopeStack.some((scope) => scope.name === EXACT);
}
