/**
 * The exact wheels the engine is made of. The hash decides what is accepted, whatever index or mirror pip asks.
 * The libraries in a TensorFlow wheel do not depend on the Python version in its name, so one wheel a platform
 * serves every user, also one whose Python is older or newer.
 */
export interface Wheel {
  /** Name and version as pip writes them. */
  requirement: string;
  /** pip's --platform and --abi. */
  platform: string;
  abi: "cp311" | "none";
  /** Download size, and unpacked size of what we keep, in MB: for the disk check and the progress line. */
  downloadMb: number;
  unpackedMb: number;
  sha256: string;
}

export type Variant = "cpu" | "cuda";

export const TENSORFLOW = "2.21.0";
/** The Python version that the TensorFlow wheels are named for; pip is told that it is this one. */
export const WHEEL_PYTHON = "3.11";

const CPU: Record<string, Wheel[]> = {
  "linux-x64": [
    {
      requirement: `tensorflow-cpu==${TENSORFLOW}`,
      platform: "manylinux_2_27_x86_64",
      abi: "cp311",
      downloadMb: 274,
      unpackedMb: 1121,
      sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
    },
  ],
  "linux-arm64": [
    {
      requirement: `tensorflow==${TENSORFLOW}`,
      platform: "manylinux_2_27_aarch64",
      abi: "cp311",
      downloadMb: 282,
      unpackedMb: 1166,
      sha256: "4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c",
    },
  ],
  "darwin-arm64": [
    {
      requirement: `tensorflow==${TENSORFLOW}`,
      platform: "macosx_12_0_arm64",
      abi: "cp311",
      downloadMb: 223,
      unpackedMb: 1000,
      sha256: "51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88",
    },
  ],
};

/** TensorFlow's CUDA build, and what its extra `and-cuda` asks for as pip resolved it in November 2026. */
const CUDA_LINUX_X64: Wheel[] = [
  {
    requirement: `tensorflow==${TENSORFLOW}`,
    platform: "manylinux_2_27_x86_64",
    abi: "cp311",
    downloadMb: 572,
    unpackedMb: 1658,
    sha256: "9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124",
  },
  nvidia(
    "nvidia-cublas-cu12==12.9.3.13",
    "manylinux_2_27_x86_64",
    581,
    855,
    "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72",
  ),
  nvidia(
    "nvidia-cuda-cupti-cu12==12.8.90",
    "manylinux2014_x86_64",
    10,
    41,
    "ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182",
  ),
  nvidia(
    "nvidia-cuda-nvcc-cu12==12.9.86",
    "manylinux2010_x86_64",
    41,
    35,
    "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0",
  ),
  nvidia(
    "nvidia-cuda-nvrtc-cu12==12.9.86",
    "manylinux2010_x86_64",
    90,
    227,
    "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
  ),
  nvidia(
    "nvidia-cuda-runtime-cu12==12.9.79",
    "manylinux2014_x86_64",
    3,
    5,
    "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3",
  ),
  nvidia(
    "nvidia-cudnn-cu12==9.28.0.42",
    "manylinux_2_27_x86_64",
    717,
    1162,
    "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375",
  ),
  nvidia(
    "nvidia-cufft-cu12==11.4.1.4",
    "manylinux2014_x86_64",
    201,
    294,
    "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28",
  ),
  nvidia(
    "nvidia-curand-cu12==10.3.10.19",
    "manylinux_2_27_x86_64",
    68,
    167,
    "49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e",
  ),
  nvidia(
    "nvidia-cusolver-cu12==11.7.5.82",
    "manylinux_2_27_x86_64",
    338,
    495,
    "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88",
  ),
  nvidia(
    "nvidia-cusparse-cu12==12.5.10.65",
    "manylinux2014_x86_64",
    366,
    487,
    "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78",
  ),
  nvidia(
    "nvidia-nccl-cu12==2.32.3",
    "manylinux_2_27_x86_64",
    352,
    490,
    "bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c",
  ),
  nvidia(
    "nvidia-nvjitlink-cu12==12.9.86",
    "manylinux2010_x86_64",
    40,
    96,
    "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9",
  ),
];

function nvidia(
  requirement: string,
  platform: string,
  downloadMb: number,
  unpackedMb: number,
  sha256: string,
): Wheel {
  return { requirement, platform, abi: "none", downloadMb, unpackedMb, sha256 };
}

/** The wheels of this platform ("linux-x64"), or undefined where there are none. */
export function wheelsFor(platform: string, variant: Variant): Wheel[] | undefined {
  if (variant === "cuda") return platform === "linux-x64" ? CUDA_LINUX_X64 : undefined;
  return CPU[platform];
}
