import type { TeacherEvaluation } from "./evaluate.ts";
import type { LabelFigures, TeacherFigures } from "./figures.ts";
import type { BySplit } from "./summary.ts";

/** Those figures that a student, a teacher or both have on a split. */
export type Figures = Partial<LabelFigures & TeacherFigures & Pick<TeacherEvaluation, "cka">>;

/** One figure of every split that has it. */
export function bySplit(splits: Map<string, Figures>, figure: keyof Figures): BySplit {
  return Object.fromEntries(
    [...splits].flatMap(([split, { [figure]: value }]) => (value === undefined ? [] : [[split, value]])),
  );
}

/** The same, undefined where no split has it. */
export function bySplitIfAny(splits: Map<string, Figures>, figure: keyof Figures): BySplit | undefined {
  const found = bySplit(splits, figure);
  return Object.keys(found).length > 0 ? found : undefined;
}
