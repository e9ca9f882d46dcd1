import { z } from "zod";

const positive = z.int().positive();

/** What a team may have, of what the service shares between teams. */
export const teamSchema = z.strictObject({
  /** Share of the images computed while several teams wait, in relation to the others' weights. */
  weight: z.number().min(0.01).max(100).optional(),
  /** Image bytes that it may have arriving, waiting and being computed. */
  queueBytes: positive.optional(),
  /** Images that it may have waiting and being computed. */
  concurrentImages: positive.optional(),
});

/** Teams by name; `*` stands for those that are not named, and for what a named one leaves open. */
export const teamsSchema = z.record(z.string().min(1).max(256), teamSchema).default({});

/** A team's rule with all that it leaves open filled in. */
export interface TeamRule {
  readonly weight: number;
  readonly queueBytes: number;
  readonly concurrentImages: number;
}

/** @example teamRules({ "*": { concurrentImages: 500 }, vision: { weight: 2 } })("vision").weight // 2 */
export function teamRules(teams: z.output<typeof teamsSchema>): (team: string) => TeamRule {
  const none = {
    weight: 1,
    queueBytes: Number.POSITIVE_INFINITY,
    concurrentImages: Number.POSITIVE_INFINITY,
  };
  const others = { ...none, ...teams["*"] };
  const rules = new Map(Object.entries(teams).map(([name, rule]) => [name, { ...others, ...rule }]));
  return (team) => rules.get(team) ?? others;
}
