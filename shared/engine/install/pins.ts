/**
 * The exact wheels the engine is made of. The hash decides what is accepted, whatever index or mirror pip asks.
 * The libraries in a TensorFlow wheel do not depend on the Python version in its name, so one wheel a platform
 * serves every user, also one whose Python is older or newer.
 */
export interface Wheel {
  /** Name and version as pip writes them. */
  requirement: string;
  sha256: string;
  /** pip's --platform, --abi and --python-version. */
  platform: string;
  abi: string;
  python: string;
  /** Download size and unpacked size of what we keep, in MB; for the disk check and the progress line. */
  downloadMb: number;
  unpackedMb: number;
}

export type Variant = "cpu" | "cuda";

export const TENSORFLOW = "2.21.0";

const cp311 = { abi: "cp311", python: "3.11" };

const CPU: Record<string, Wheel[]> = {
  "linux-x64": [
    {
      requirement: `tensorflow-cpu==${TENSORFLOW}`,
      sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
      platform: "manylinux_2_27_x86_64",
      ...cp311,
      downloadMb: 274,
      unpackedMb: 1000,
    },
  ],
  "linux-arm64": [
    {
      requirement: `tensorflow==${TENSORFLOW}`,
      sha256: "4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c",
      platform: "manylinux_2_27_aarch64",
      ...cp311,
      downloadMb: 290,
      unpackedMb: 1100,
    },
  ],
  "darwin-arm64": [
    {
      requirement: `tensorflow==${TENSORFLOW}`,
      sha256: "51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88",
      platform: "macosx_12_0_arm64",
      ...cp311,
      downloadMb: 260,
      unpackedMb: 1100,
    },
  ],
};

const CUDA: Record<string, Wheel[]> = {};

/** The wheels of this platform ("linux-x64"), or undefined where there are none. */
export function wheelsFor(platform: string, variant: Variant): Wheel[] | undefined {
  return (variant === "cuda" ? CUDA : CPU)[platform];
}
