import { type Constant, constantNodes, sharingKey } from "./constant.ts";
import { type GraphNode, shapeProto } from "./graph.ts";
import type { Operand } from "./infer.ts";
import { DT } from "./native.ts";

/** The reference to an operand for the operation `consumer`; a constant is written when it is first asked for. */
export type Refer = (operand: Operand, consumer?: string) => string;

/**
 * TensorFlow rewrites arithmetic with constants (x / 127.5 becomes x * (1 / 127.5), a * x * b becomes x * (a * b)),
 * which rounds otherwise than the same operations one by one. It leaves alone what it does not know to be constant.
 */
const ROUNDED_OTHERWISE = new Set(["Add", "AddV2", "Sub", "Mul", "Div", "RealDiv"]);

/** Writes constants into `nodes`, each once: equal small ones share a node. */
export function constantWriter(nodes: GraphNode[]): Refer {
  const byKey = new Map<string, string>();
  const byConstant = new Map<Constant, string>();
  const opaque = new Set<string>();
  const write = (constant: Constant, key: string | undefined): string => {
    const known = byConstant.get(constant) ?? (key === undefined ? undefined : byKey.get(key));
    if (known !== undefined) return known;
    const name = `constant_${byConstant.size}`;
    nodes.push(...constantNodes(name, constant));
    byConstant.set(constant, name);
    if (key !== undefined) byKey.set(key, name);
    return name;
  };
  return (operand, consumer) => {
    if ("ref" in operand) return operand.ref;
    const { constant } = operand;
    const key = sharingKey(constant);
    const name = write(constant, key);
    const hide = consumer !== undefined && ROUNDED_OTHERWISE.has(consumer);
    if (!hide || key === undefined || constant.dtype !== DT.float) return `${name}:0`;
    const hidden = `${name}_hidden`;
    if (!opaque.has(hidden)) nodes.push(passedOn(hidden, name, constant));
    opaque.add(hidden);
    return `${hidden}:0`;
  };
}

/** An operation that passes its input on and that TensorFlow must expect to be fed something else. */
function passedOn(name: string, input: string, { dtype, shape }: Constant): GraphNode {
  return {
    name,
    op: "PlaceholderWithDefault",
    input: [`${input}:0`],
    attr: { dtype: { type: dtype }, shape: { shape: shapeProto(shape) } },
  };
}
