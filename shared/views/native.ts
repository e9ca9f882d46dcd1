import { loadPictures, type Pictures } from "@funmatch/engine/pictures";

let loaded: { pictures: Pictures | undefined } | undefined;

/** The engine's functions for pictures, loaded at the first call of each thread; undefined where there are none. */
export function nativePictures(): Pictures | undefined {
  loaded ??= { pictures: loadPictures() };
  return loaded.pictures;
}
