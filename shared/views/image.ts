/** A decoded picture: `data` is RGB, uint8, row-major [height, width, 3]. */
export interface Image {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A rectangle of whole pixels in a picture: its top-left corner and its size. */
export interface Box {
  y: number;
  x: number;
  height: number;
  width: number;
}
