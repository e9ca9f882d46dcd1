import { basename } from "node:path";

/** A student as a run's config.yaml has it. */
export interface StudentSettings {
  model?: string;
  resolution: number;
  depth?: number;
  blocks?: number[];
  width?: number;
  size?: string;
  patch?: number;
  file?: string;
}

/** A student's network in the words of a headline: "BiT-R26 × 0.5", "MobileNetV3 small", "ViT-S/16", "my-net.ts". */
export function studentName(student: StudentSettings): string {
  switch (student.model) {
    case "mobilenetv3":
      return `MobileNetV3 ${student.size}${widened(student.width)}`;
    case "vit":
      return `ViT-${student.size}/${student.patch}`;
    case "module":
      return basename(student.file ?? "own network");
    default: {
      const bit = student.depth ? `BiT-R${student.depth}` : `BiT [${student.blocks?.join(", ")}]`;
      return `${bit} × ${student.width ?? 1}`;
    }
  }
}

function widened(width = 1): string {
  return width === 1 ? "" : ` × ${width}`;
}
