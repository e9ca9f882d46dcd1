import { UserError } from "@funmatch/config";

/**
 * A pattern that has to match a parameter's whole name, as in big_vision.
 *
 * @throws SyntaxError when it is no regular expression
 * @example wholeName("head/.*").test("head/kernel") // true; wholeName("head") does not match it
 */
export function wholeName(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}

/**
 * The names of the parameters that are trained: all that `freeze` does not match.
 *
 * @throws UserError when a pattern matches nothing, so that it must be misspelt, or when nothing is left to train
 */
export function trainedNames(
  names: string[],
  { freeze, decay, weightDecay }: { freeze?: string; decay: string; weightDecay: number },
): string[] {
  const matched = (pattern: string) => names.filter((name) => wholeName(pattern).test(name));
  const refuse = (key: string, pattern: string, what: string): never => {
    const some = names.slice(0, 3).join(", ");
    throw new UserError(
      `optimizer.${key}: "${pattern}" matches ${what} of the student's parameters (${some}, …)`,
    );
  };
  if (weightDecay > 0 && matched(decay).length === 0) refuse("decay", decay, "none");
  if (freeze === undefined) return names;
  const frozen = new Set(matched(freeze));
  if (frozen.size === 0) refuse("freeze", freeze, "none");
  if (frozen.size === names.length) refuse("freeze", freeze, "all");
  return names.filter((name) => !frozen.has(name));
}
