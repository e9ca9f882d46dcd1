import { choices } from "../report/figures.ts";
import { areProbabilities } from "./oip/tensors.ts";

/** What a teacher's answers about labelled images show. */
export interface Look {
  images: number;
  /** Share of images whose first choice is the label. */
  accuracy: number;
  /** Of each image, whether it is right about it. */
  right: boolean[];
  /** What always saying the most frequent class would come to. */
  chance: number;
  /** Whether the accuracy is no better than that, but for luck. */
  nearChance: boolean;
  /** What looks wrong, in words; nothing with a good teacher. */
  suspicions: string[];
}

/** Of fewer images nothing is said. */
const ENOUGH = 16;
/** How far above chance, in standard deviations of its count, an accuracy counts as better. */
const DEVIATIONS = 2;

/**
 * Looks at a teacher's logits [N,K] of a few labelled images for the signs of a mismatch: accuracy near chance, one
 * answer for all images, classes in another order, probabilities in place of logits.
 *
 * @param names of the classes, in the order of the data
 */
export function lookAt(logits: Float32Array, labels: Int32Array, names: string[]): Look {
  const classes = names.length;
  const images = labels.length;
  const rows = Array.from({ length: images }, (_, i) => logits.subarray(i * classes, (i + 1) * classes));
  const chosen = [...choices(logits, classes)];
  const share = (count: number) => count / images;
  const right = chosen.map((choice, i) => choice === labels[i]);
  const accuracy = share(right.filter(Boolean).length);
  const frequency = new Array<number>(classes).fill(0);
  for (const label of labels) frequency[label]!++;
  const chance = share(Math.max(...frequency));
  const luck = Math.sqrt((chance * (1 - chance)) / images);
  const nearChance = images >= ENOUGH && chance < 1 && accuracy <= chance + DEVIATIONS * luck;
  const suspicions: string[] = [];
  if (rows.every(areProbabilities))
    suspicions.push(
      "its outputs are all of 0…1 and sum to 1: probabilities, not logits, which no distance here expects",
    );
  if (nearChance) {
    const order = otherOrder(chosen, labels, names);
    if (order) suspicions.push(order);
    else if (new Set(chosen).size === 1)
      suspicions.push(
        `it says ${JSON.stringify(names[chosen[0]!])} to every image: likely pixels in another value range than it was trained with`,
      );
    else
      suspicions.push(
        "likely a preprocessing mismatch: the value range, the order of the channels, or the order of the classes",
      );
  }
  return { images, accuracy, right, chance, nearChance, suspicions };
}

/**
 * Whether a teacher is better when asked in another way, and not by luck: among the images about which the two differ,
 * those that it gets right only then outnumber the others by more than two standard deviations.
 */
export function isBetter(other: Look, now: Look): boolean {
  let [gained, lost] = [0, 0];
  for (const [i, right] of other.right.entries()) {
    if (right && !now.right[i]) gained++;
    if (!right && now.right[i]) lost++;
  }
  return gained - lost > DEVIATIONS * Math.sqrt(gained + lost);
}

/** Of how many images a class must be, and how purely, to believe that the teacher has it under another number. */
const [FEWEST, PURE] = [3, 0.6];

/**
 * Whether what the teacher says goes with the labels one to one, but with others than their own: then its classes are
 * in another order. Answers that have nothing to do with the labels are spread over all of them.
 */
function otherOrder(chosen: number[], labels: Int32Array, names: string[]): string | undefined {
  const moved: { to: number; from: number; hits: number }[] = [];
  let judged = 0;
  for (let from = 0; from < names.length; from++) {
    const said = chosen.filter((_, i) => labels[i] === from);
    if (said.length < FEWEST) continue;
    judged++;
    const counts = new Map<number, number>();
    for (const choice of said) counts.set(choice, (counts.get(choice) ?? 0) + 1);
    const [to, hits] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a));
    if (to !== from && hits / said.length >= PURE) moved.push({ from, to, hits });
  }
  const targets = new Set(moved.map(({ to }) => to));
  if (moved.length < 2 || moved.length < judged / 2 || targets.size < moved.length) return undefined;
  const examples = moved
    .slice(0, 3)
    .map(
      ({ from, to }) =>
        `to ${JSON.stringify(names[from])} mostly class ${to} (here ${JSON.stringify(names[to])})`,
    );
  return `its classes seem to be in another order: it says ${examples.join(", ")}`;
}
