import { closest, distance } from "fastest-levenshtein";
import { z } from "zod";

/**
 * Says in plain words what zod found wrong: the place, the value's fault and, for an unknown key, the nearest
 * valid one.
 *
 * @example explain(configSchema, error) // 'unknown key "optimiser": did you mean "optimizer"?'
 */
export function explain(schema: z.ZodType, error: z.ZodError): string[] {
  return error.issues.flatMap((issue) => explainIssue(schema, issue, []));
}

function explainIssue(schema: z.ZodType, issue: z.core.$ZodIssue, outer: PropertyKey[]): string[] {
  const path = [...outer, ...issue.path];
  const place = path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, path);
    return issue.keys.map((key) => {
      const where = place ? `${place}.${key}` : key;
      if (known.length === 0) return `unknown key "${where}"`;
      if (known.includes(key)) return `"${where}" cannot stand beside the other keys there`;
      const nearest = closest(key, known);
      return distance(key, nearest) <= Math.max(3, key.length / 2)
        ? `unknown key "${where}": did you mean "${nearest}"?`
        : `unknown key "${where}": valid here are ${known.join(", ")}`;
    });
  }
  if (issue.code === "invalid_union") {
    const branches = issue.errors.filter((issues) => issues.length > 0);
    // Most likely meant is a branch for this kind of value, and of these the one with the fewest complaints.
    const otherKind = (issues: z.core.$ZodIssue[]) =>
      Number(issues.some((inner) => inner.code === "invalid_type" && inner.path.length === 0));
    const meant = branches.sort((a, b) => otherKind(a) - otherKind(b) || a.length - b.length)[0];
    if (meant) return meant.flatMap((inner) => explainIssue(schema, inner, path));
  }
  return [`${place || "config"}: ${issue.message}${nearName(schema, path)}`];
}

/** Where names are of the user's choice, a wrong value may come of a mistyped key: the valid one near it. */
function nearName(schema: z.ZodType, path: PropertyKey[]): string {
  const [name, known] = [String(path.at(-1) ?? ""), keysAt(schema, path.slice(0, -1))];
  if (known.length === 0 || known.includes(name)) return "";
  const nearest = closest(name, known);
  return distance(name, nearest) <= 3 ? `; did you mean "${nearest}"?` : "";
}

/** Keys that objects at `path` may have; where a union offers several objects, the keys of all of them. */
function keysAt(schema: z.ZodType, path: PropertyKey[]): string[] {
  let here: z.ZodType[] = [schema];
  for (const step of path) {
    here = here.flatMap(unwrap).flatMap((type): z.ZodType[] => {
      if (type instanceof z.ZodObject) {
        if (step in type.shape) return [type.shape[String(step)] as z.ZodType];
        return type.def.catchall ? [type.def.catchall as z.ZodType] : [];
      }
      if (type instanceof z.ZodArray) return [type.element as z.ZodType];
      if (type instanceof z.ZodRecord) return [type.valueType as z.ZodType];
      return [];
    });
  }
  const objects = here.flatMap(unwrap).filter((type) => type instanceof z.ZodObject);
  return [...new Set(objects.flatMap((type) => Object.keys(type.shape)))];
}

function unwrap(type: z.ZodType): z.ZodType[] {
  if (type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault)
    return unwrap(type.unwrap() as z.ZodType);
  if (type instanceof z.ZodUnion) return (type.options as z.ZodType[]).flatMap(unwrap);
  if (type instanceof z.ZodPipe) return unwrap(type.in as z.ZodType);
  return [type];
}
