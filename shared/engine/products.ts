import * as tf from "@tensorflow/tfjs-core";
import { DT, type Native, type NativeAttr, nativeBackend, type TensorHandle } from "./native.ts";
import { withoutKernels } from "./own-kernels.ts";

/**
 * Operations whose `T` becomes bfloat16, with the places of the operands that are rounded: convolutions and products,
 * and of our own operations those that stand between them. These compute in float32 whatever they read, and what they
 * read and write is rounded for the convolution before or behind them in any case: it is half the memory to go through.
 * Not among them: depthwise convolutions, which TensorFlow's CPU kernels compute more slowly in bfloat16.
 */
const ROUNDED: Record<string, number[]> = {
  FunmatchGroupNormRelu: [0],
  FunmatchGroupNormReluGrad: [0, 1],
  BatchMatMulV2: [0, 1],
  Einsum: [0, 1],
  Conv2D: [0, 1],
  Conv2DBackpropInput: [1, 2],
  Conv2DBackpropFilter: [0, 2],
  Conv3D: [0, 1],
  Conv3DBackpropInputV2: [1, 2],
  Conv3DBackpropFilterV2: [0, 2],
};

/** Products of our own that know float32 alone: a network that does not find them takes TensorFlow's, which are rounded. */
const EXACT_ONLY = ["FunmatchConvolution"];

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
  const rounding = roundedProducts(binding);
  backend.binding = rounding.binding;
  try {
    return withoutKernels(fn, EXACT_ONLY);
  } finally {
    backend.binding = binding;
    rounding.free();
  }
}

/** The binding with rounded products, and a function that frees what was rounded on the way. */
function roundedProducts(native: Native): { binding: Native; free(): void } {
  /** Rounded twins by the number of the float32 tensor, so that each is rounded once. */
  const twins = new Map<number, number>();
  const narrow = (id: number): number => {
    const known = twins.get(id);
    if (known !== undefined) return known;
    const twin = cast(native, id, DT.float, DT.bfloat16).id;
    twins.set(id, twin);
    return twin;
  };
  const executeOp: Native["executeOp"] = (op, attrs, ids, outputs) => {
    const type = attrs.find((attr) => attr.name === "T");
    const rounded = ROUNDED[op];
    if (rounded === undefined || type?.value !== DT.float || isExact())
      return native.executeOp(op, attrs, ids, outputs);
    const [first, ...others] = native.executeOp(
      op,
      attrs.map((attr) => (attr === type ? { ...attr, value: DT.bfloat16 } : attr)),
      ids.map((id, place) => (rounded.includes(place) ? narrow(id) : id)),
      outputs,
    );
    const wide = cast(native, first!.id, DT.bfloat16, DT.float);
    twins.set(wide.id, first!.id);
    return [wide, ...others];
  };
  return {
    binding: Object.create(native, Object.getOwnPropertyDescriptors({ executeOp })) as Native,
    free: () => {
      for (const id of twins.values()) native.deleteTensor(id);
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
