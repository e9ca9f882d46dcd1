/**
 * Finds the float32 arrays in a pickle that numpy wrote around a dictionary of JAX arrays.
 *
 * A pickle is a program. This reads only the instructions that build plain data; a class or a call in it becomes a
 * record of its name and arguments and is never looked up, let alone run. Unknown instructions are an error.
 */
export function pickledArrays(bytes: Buffer): Record<string, { shape: number[]; data: Float32Array }> {
  const found: Record<string, { shape: number[]; data: Float32Array }> = {};
  collect(readPickle(bytes), "", found);
  return found;
}

type Value = null | boolean | number | string | Buffer | Value[] | Map<Value, Value> | Built;
/** An object that running the pickle would have made. */
interface Built {
  built: Value[];
}

function isBuilt(value: Value): value is Built {
  return typeof value === "object" && value !== null && "built" in value;
}

/** numpy describes an array's content as (version, shape, dtype, is Fortran-ordered, bytes). */
function collect(
  value: Value,
  path: string,
  found: Record<string, { shape: number[]; data: Float32Array }>,
): void {
  if (value instanceof Map) {
    for (const [key, inner] of value) collect(inner, path ? `${path}/${key}` : String(key), found);
  } else if (Array.isArray(value)) {
    const [, shape, dtype, fortran, content] = value;
    if (Array.isArray(shape) && Buffer.isBuffer(content) && fortran === false && isFloat32(dtype)) {
      const copy = new Uint8Array(content);
      found[path] = { shape: shape as number[], data: new Float32Array(copy.buffer) };
    } else for (const inner of value) collect(inner, path, found);
  } else if (value !== null && isBuilt(value)) collect(value.built, path, found);
}

function isFloat32(dtype: Value | undefined): boolean {
  return dtype !== undefined && dtype !== null && isBuilt(dtype) && dtype.built.flat(2).includes("f4");
}

const MARK = Symbol("mark");

function readPickle(bytes: Buffer): Value {
  const stack: (Value | typeof MARK)[] = [];
  const memo: Value[] = [];
  let at = 0;

  const take = (count: number): Buffer => {
    if (!(at + count <= bytes.length)) throw new Error("the pickle is cut short");
    at += count;
    return bytes.subarray(at - count, at);
  };
  const pop = (): Value => {
    const value = stack.pop();
    if (value === undefined || value === MARK) throw new Error("the pickle is damaged");
    return value;
  };
  const sinceMark = (): Value[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) throw new Error("the pickle is damaged");
    return stack.splice(mark).slice(1) as Value[];
  };
  const tuple = (count: number): void => {
    stack.push(Array.from({ length: count }, pop).reverse());
  };
  const setItems = (pairs: Value[]): void => {
    const target = stack.at(-1);
    if (!(target instanceof Map)) throw new Error("the pickle is damaged");
    for (let i = 0; i + 1 < pairs.length; i += 2) target.set(pairs[i]!, pairs[i + 1]!);
  };
  const append = (values: Value[]): void => {
    const target = stack.at(-1);
    if (!Array.isArray(target)) throw new Error("the pickle is damaged");
    target.push(...values);
  };

  for (;;) {
    const code = take(1)[0]!;
    switch (code) {
      case 0x80: // protocol
        take(1);
        break;
      case 0x95: // frame
        take(8);
        break;
      case 0x94: // memoize
        memo.push(stack.at(-1) as Value);
        break;
      case 0x68: // memo by one byte
        stack.push(memo[take(1)[0]!]!);
        break;
      case 0x6a: // memo by four bytes
        stack.push(memo[take(4).readUInt32LE()]!);
        break;
      case 0x8c:
        stack.push(take(take(1)[0]!).toString("utf8"));
        break;
      case 0x58:
        stack.push(take(take(4).readUInt32LE()).toString("utf8"));
        break;
      case 0x43:
        stack.push(take(take(1)[0]!));
        break;
      case 0x42:
        stack.push(take(take(4).readUInt32LE()));
        break;
      case 0x8e:
        stack.push(take(Number(take(8).readBigUInt64LE())));
        break;
      case 0x4b:
        stack.push(take(1)[0]!);
        break;
      case 0x4d:
        stack.push(take(2).readUInt16LE());
        break;
      case 0x4a:
        stack.push(take(4).readInt32LE());
        break;
      case 0x4e:
        stack.push(null);
        break;
      case 0x88:
      case 0x89:
        stack.push(code === 0x88);
        break;
      case 0x28:
        stack.push(MARK);
        break;
      case 0x29: // ()
      case 0x5d: // []
        stack.push([]);
        break;
      case 0x7d:
        stack.push(new Map());
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        tuple(code - 0x84);
        break;
      case 0x74:
        stack.push(sinceMark());
        break;
      case 0x61:
        append([pop()]);
        break;
      case 0x65:
        append(sinceMark());
        break;
      case 0x73:
        setItems([pop(), pop()].reverse());
        break;
      case 0x75:
        setItems(sinceMark());
        break;
      case 0x93: // a class or function by name
      case 0x52: // a call
        stack.push({ built: [pop(), pop()].reverse() });
        break;
      case 0x62: {
        // more content for an object
        const content = pop();
        const target = stack.at(-1);
        if (target === undefined || target === MARK || target === null || !isBuilt(target))
          throw new Error("the pickle is damaged");
        target.built.push(content);
        break;
      }
      case 0x2e:
        return pop();
      default:
        throw new Error(`the pickle holds instruction 0x${code.toString(16)}, which is not plain data`);
    }
  }
}
