/** Other libraries' bytes: msgpackr's, live, and Python's `msgpack` 1.2.4, recorded. */
import { decodeAnswer, encodeAnswer, encodeRequestHead, floats, readRequestHead } from "@funmatch/wire";
import { Packr, unpack } from "msgpackr";
import { describe, expect, test } from "vitest";
import { bytesOfHex, DIGEST, join } from "./packing.ts";

const packr = new Packr({ useRecords: false, variableMapSize: true });
const TWELVE = "sha256:ff3a9bcdd37363d703c1c4f9512533686157868f0d4f16a0f02d0f1da24f9a2a"; // of the bytes 0 to 11

describe("Python msgpack", () => {
  test("packb of a training request", () => {
    // packb({"purpose": "train", "digest": …, "images": {"dtype": "uint8", "shape": [1, 2, 2, 3], "data": bytes(range(12))}})
    const body = bytesOfHex(
      "83a7707572706f7365a5747261696ea6646967657374d9477368613235363a666633613962636464333733363364373033" +
        "6331633466393531323533333638363135373836386630643466313661306630326430663164613234663961326" +
        "1a6696d6167657383a56474797065a575696e7438a573686170659401020203a464617461c40c" +
        "000102030405060708090a0b",
    );
    const head = readRequestHead(body, body.length);
    expect(head).toMatchObject({ purpose: "train", digest: TWELVE, dtype: "uint8", shape: [1, 2, 2, 3] });
    expect([...body.subarray(head.dataOffset)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("packb of an evaluation request with 300 float32 images (uint16 dimension, bin16 data)", () => {
    const start = bytesOfHex(
      "82a7707572706f7365a46576616ca6696d6167657383a56474797065a7666c6f61743332" +
        "a5736861706594cd012c040403a464617461c5e100",
    );
    const body = join(start, new Uint8Array(57_600));
    expect(readRequestHead(body.subarray(0, 512), body.length)).toEqual({
      purpose: "eval",
      dtype: "float32",
      shape: [300, 4, 4, 3],
      dataOffset: start.length,
      dataLength: 57_600,
    });
  });

  test("packb of an answer", () => {
    const answer = decodeAnswer(
      bytesOfHex(
        "84a56d6f64656ca470726f66a776657273696f6ed9477368613235363a" +
          "6162".repeat(32) +
          "a6646967657374d9477368613235363a" +
          Buffer.from(TWELVE.slice(7)).toString("hex") +
          "a66c6f6769747383a56474797065a7666c6f61743332a57368617065920102a464617461c4080000803f000000c0",
      ),
    );
    expect(answer).toMatchObject({ model: "prof", version: `sha256:${"ab".repeat(32)}`, digest: TWELVE });
    expect([...floats(answer.logits.data)]).toEqual([1, -2]);
  });

  test("our bytes are its bytes: both write the shortest form", () => {
    const head = encodeRequestHead({ purpose: "eval", dtype: "float32", shape: [300, 4, 4, 3] });
    expect(Buffer.from(head).toString("hex")).toBe(
      "82a7707572706f7365a46576616ca6696d6167657383a56474797065a7666c6f61743332" +
        "a5736861706594cd012c040403a464617461c5e100",
    );
  });
});

describe("msgpackr", () => {
  test("its requests are read, whichever header sizes it chooses", () => {
    for (const packer of [
      packr,
      new Packr({ useRecords: false }),
      new Packr({ useRecords: false, largeBigIntToFloat: true }),
    ]) {
      const data = new Uint8Array(3 * 40 * 40 * 3);
      const body = packer.pack({
        purpose: "train",
        digest: DIGEST,
        images: { dtype: "uint8", shape: [3, 40, 40, 3], data },
      });
      const head = readRequestHead(body.subarray(0, 512), body.length);
      expect(head).toMatchObject({
        purpose: "train",
        digest: DIGEST,
        shape: [3, 40, 40, 3],
        dataLength: 14_400,
      });
    }
  });

  test("it reads our request", () => {
    const head = encodeRequestHead({
      purpose: "train",
      digest: DIGEST,
      dtype: "float32",
      shape: [1, 1, 2, 3],
    });
    const pixels = Uint8Array.from({ length: 24 }, (_, i) => 255 - i);
    const { images, ...rest } = unpack(join(head, pixels));
    expect(rest).toEqual({ purpose: "train", digest: DIGEST });
    expect({ ...images, data: [...images.data] }).toEqual({
      dtype: "float32",
      shape: [1, 1, 2, 3],
      data: [...pixels],
    });
  });

  test("answers go both ways", () => {
    const data = new Uint8Array(Float32Array.from([0.5, -1, 3e38, -0, 1e-40, 7]).buffer);
    const answer = {
      model: "prof",
      version: DIGEST,
      digest: DIGEST,
      logits: { dtype: "float32" as const, shape: [2, 3] as [number, number], data },
    };
    const { logits } = decodeAnswer(packr.pack(answer));
    expect([...floats(logits.data)]).toEqual([...new Float32Array(data.buffer)]);
    const unpacked = unpack(encodeAnswer(answer));
    expect({
      ...unpacked,
      logits: { ...unpacked.logits, data: new Uint8Array(unpacked.logits.data) },
    }).toEqual(answer);
  });

  test("what it does to undefined and to typed arrays is refused, as it should be", () => {
    const images = { dtype: "float32", shape: [1, 1, 1, 1], data: new Float32Array(1) };
    const typed = new Packr({ useRecords: false, moreTypes: true }).pack({ purpose: "eval", images });
    expect(() => readRequestHead(typed, typed.length)).toThrow(
      "images.data: expected a binary, got an extension",
    );
    const absent = packr.pack({ purpose: "eval", digest: undefined, images });
    expect(() => readRequestHead(absent, absent.length)).toThrow("digest: expected a string, got");
  });
});
