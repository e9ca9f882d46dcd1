import { UserError } from "@funmatch/config";
import type { FileMetaData, SchemaElement } from "hyparquet";

/** A column of a file whose rows have one value each. */
export interface FlatColumn {
  /** Names from the outermost struct inwards, such as ["image", "bytes"]. */
  path: string[];
  element: SchemaElement;
  /** The definition level of a value that is not null. */
  maxLevel: number;
}

/** The columns of a data set of labelled pictures. */
export interface PictureColumns {
  image: FlatColumn;
  label: FlatColumn;
  /** What the file says that the numbers of its labels mean. */
  names?: string[];
}

/** Which columns hold pictures and labels; what is not said is found out. */
export interface ColumnNames {
  image?: string;
  label?: string;
}

const DEEPEST = 8;

/**
 * Finds the columns of pictures and labels: those that are named, else "image" and "label", else the only ones that
 * the `datasets` library wrote as Image and ClassLabel. A picture is a column of bytes or a struct that has `bytes`.
 *
 * @throws UserError naming the columns that there are
 */
export function pictureColumns(metadata: FileMetaData, given: ColumnNames, path: string): PictureColumns {
  const columns = flatColumns(metadata.schema);
  const tops = [...new Set(columns.map((column) => column.path[0]!))];
  const features = huggingFaceFeatures(metadata);
  const named = (key: "image" | "label", type: string): string => {
    const name = given[key] ?? (tops.includes(key) ? key : undefined) ?? onlyOne(features, type) ?? key;
    if (tops.includes(name)) return name;
    throw new UserError(`${path} has no column ${name} (data.….${key}): it has ${tops.join(", ") || "none"}`);
  };
  const imageName = named("image", "Image");
  const labelName = named("label", "ClassLabel");
  const fail = (what: string): never => {
    throw new UserError(`${path}: ${what}`);
  };
  const find = (...wanted: string[]) =>
    columns.find((column) => column.path.join("\n") === wanted.join("\n"));
  const image = find(imageName, "bytes") ?? find(imageName);
  if (image?.element.type !== "BYTE_ARRAY")
    return fail(`column ${imageName} holds no pictures: it must be binary, or a struct with binary "bytes"`);
  const label = find(labelName);
  if (!label || !["INT32", "INT64", "BYTE_ARRAY"].includes(label.element.type ?? ""))
    return fail(`column ${labelName} holds no labels: it must be integers or text`);
  return { image, label, names: classNames(features?.[labelName]) };
}

/** Columns without repetition; those within lists and maps are passed over. */
function flatColumns(schema: SchemaElement[]): FlatColumn[] {
  const found: FlatColumn[] = [];
  let at = 1;
  const visit = (children: number, path: string[], level: number, repeated: boolean): void => {
    for (let child = 0; child < children && at < schema.length && path.length < DEEPEST; child++) {
      const element = schema[at++]!;
      const here = [...path, element.name];
      const maxLevel = level + (element.repetition_type === "REQUIRED" ? 0 : 1);
      const repeats = repeated || element.repetition_type === "REPEATED";
      if (element.num_children) visit(element.num_children, here, maxLevel, repeats);
      else if (!repeats) found.push({ path: here, element, maxLevel });
    }
  };
  visit(schema[0]?.num_children ?? 0, [], 0, false);
  return found;
}

type Features = Record<string, { _type?: unknown; names?: unknown } | null>;

/** What the `datasets` library writes into a file's metadata about its columns. */
function huggingFaceFeatures({ key_value_metadata: pairs }: FileMetaData): Features | undefined {
  const written = pairs?.find(({ key }) => key === "huggingface")?.value;
  try {
    const { info } = JSON.parse(written ?? "{}") as { info?: { features?: unknown } };
    const features = info?.features;
    return typeof features === "object" && features !== null ? (features as Features) : undefined;
  } catch {
    return undefined;
  }
}

function onlyOne(features: Features | undefined, type: string): string | undefined {
  const found = Object.entries(features ?? {}).filter(([, feature]) => feature?._type === type);
  return found.length === 1 ? found[0]![0] : undefined;
}

function classNames(feature: Features[string] | undefined): string[] | undefined {
  const names = feature?._type === "ClassLabel" ? feature.names : undefined;
  return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : undefined;
}
