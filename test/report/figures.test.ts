import { join } from "node:path";
import { readNpz } from "@funmatch/models";
import { expect, test } from "vitest";
import {
  choices,
  ensembleFigures,
  labelFigures,
  teacherFigures,
} from "../../student-trainer/report/figures.ts";

const golden = new URL("../golden/", import.meta.url).pathname;
const own = (...labels: number[]) => ({ data: Int32Array.from(labels), each: 1 });

test("accuracy, agreement and KL of three images, worked out by hand", () => {
  const student = Float32Array.of(2, 0, /**/ 0, 0, /**/ 0, 1);
  const teacher = Float32Array.of(1, 0, /**/ 0, 3, /**/ 0, 1);
  expect([...choices(student, 2)]).toEqual([0, 0, 1]);
  expect(labelFigures(student, own(0, 1, 0), 2)).toEqual({ accuracy: 1 / 3 });
  const kl = (t: number, s: number) => {
    const [p, q] = [1 / (1 + Math.exp(-t)), 1 / (1 + Math.exp(-s))];
    return p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
  };
  const found = teacherFigures(student, teacher, 2);
  expect(found.agreement).toBeCloseTo(2 / 3);
  expect(found.kl).toBeCloseTo((kl(1, 2) + kl(-3, 0) + kl(-1, -1)) / 3, 7);
  expect(found.euclidean).toBeCloseTo((1 + 3 + 0) / 3, 6);
  expect(found).not.toHaveProperty("agreementTop5");
});

test("KL, euclidean distance and both agreements are the paper's", async () => {
  const vectors = await readNpz(join(golden, "distances.npz"));
  const of = (pattern: RegExp) => {
    const name = [...vectors.keys()].find((one) => pattern.test(one));
    return Array.from(vectors.get(name!)!.data as Float32Array);
  };
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const [student, teacher] = [Float32Array.from(of(/^student$/)), Float32Array.from(of(/^teacher$/))];
  const found = teacherFigures(student, teacher, 13);
  expect(found.kl / mean(of(/^kl.*=1(\.0)?$/))).toBeCloseTo(1, 5);
  expect(found.euclidean / mean(of(/^euclidean/))).toBeCloseTo(1, 6);
  expect(found.agreement).toBeCloseTo(mean(of(/^agree.*=1$/)), 6);
  expect(found.agreementTop5).toBeCloseTo(mean(of(/^agree.*=5$/)), 6);
  expect(found.agreementTop5).toBeGreaterThan(found.agreement);
});

test("an image with several labels is right by any of them, one without is not counted", () => {
  const logits = Float32Array.of(
    ...[0, 1, 2, 3, 4, 5, 6],
    ...[0, 1, 2, 3, 4, 5, 6],
    ...[9, 1, 2, 3, 4, 5, 6],
    ...[9, 1, 2, 3, 4, 5, 6],
  );
  const answers = { data: Int32Array.of(1, 6, /**/ 1, 0, /**/ -1, -1, /**/ 2, -1), each: 2 };
  expect(labelFigures(logits, answers, 7)).toEqual({ accuracy: 1 / 3, accuracyTop5: 1 / 3 });
  const second = { data: Int32Array.of(2, -1, /**/ 1, -1, /**/ 6, 1, /**/ 3, -1), each: 2 };
  expect(labelFigures(logits, second, 7)).toEqual({ accuracy: 0, accuracyTop5: 3 / 4 });
});

test("of equal logits the first classes are chosen first", () => {
  const zero = new Float32Array(8);
  expect(labelFigures(zero, own(0), 8)).toEqual({ accuracy: 1, accuracyTop5: 1 });
  expect(labelFigures(zero, own(4), 8)).toEqual({ accuracy: 0, accuracyTop5: 1 });
  expect(labelFigures(zero, own(5), 8)).toEqual({ accuracy: 0, accuracyTop5: 0 });
});

test("from an ensemble, which has log-probabilities alone, the distance does not see a shift of the logits", () => {
  const student = Float32Array.of(1, 2, 4, /**/ 0, 0, 9);
  const half = Float32Array.of(0.5, 0.25, 0.25, /**/ 0.2, 0.3, 0.5).map(Math.log);
  const found = ensembleFigures(student, half, 3);
  const shifted = ensembleFigures(
    student.map((logit) => logit + 100),
    half,
    3,
  );
  expect(shifted.euclidean).toBeCloseTo(found.euclidean, 4);
  const { euclidean, ...rest } = teacherFigures(student, half, 3);
  expect(found).toMatchObject(rest);
  const distance = (row: number[], told: number[]) => {
    const norm = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    return Math.hypot(...row.map((logit, k) => logit - norm - Math.log(told[k]!)));
  };
  const wanted = (distance([1, 2, 4], [0.5, 0.25, 0.25]) + distance([0, 0, 9], [0.2, 0.3, 0.5])) / 2;
  expect(found.euclidean).toBeCloseTo(wanted, 5);
  expect(euclidean).not.toBeCloseTo(wanted, 1);
});
