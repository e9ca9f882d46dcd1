const APP1 = 0xe1;
const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;
const ORIENTATION = 0x0112;
const UPRIGHT = 1;

/**
 * The size of a JPEG file's picture, where its pixels are stored upright, in one or three channels of 8 bits. Undefined for
 * other files, and for those whose header leaves a doubt.
 */
export function sizeOfUprightJpeg(bytes: Uint8Array): { height: number; width: number } | undefined {
  const file = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (file.byteLength < 4 || file.getUint16(0) !== 0xffd8) return undefined;
  let size: { height: number; width: number } | undefined;
  for (let at = 2; at + 4 <= file.byteLength; ) {
    if (file.getUint8(at) !== 0xff) return undefined;
    const marker = file.getUint8(at + 1);
    if (marker === START_OF_SCAN) return size;
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= END_OF_IMAGE)) return undefined;
    const end = at + 2 + file.getUint16(at + 2);
    if (end > file.byteLength || end < at + 4) return undefined;
    const segment = new DataView(file.buffer, file.byteOffset + at + 4, end - at - 4);
    if (isFrame(marker)) size = sizeInFrame(segment);
    if (marker === APP1 && orientationIn(segment) !== UPRIGHT) return undefined;
    at = end;
  }
  return undefined;
}

/** SOF0 to SOF15, without the three in between that are no frames. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function sizeInFrame(frame: DataView): { height: number; width: number } | undefined {
  if (frame.byteLength < 6 || frame.getUint8(0) !== 8) return undefined;
  const channels = frame.getUint8(5);
  if (channels !== 1 && channels !== 3) return undefined;
  const size = { height: frame.getUint16(1), width: frame.getUint16(3) };
  return size.height > 0 && size.width > 0 ? size : undefined;
}

/** The orientation that an APP1 segment gives; upright if it is no Exif or names none; undefined if that cannot be told. */
function orientationIn(segment: DataView): number | undefined {
  const isExif = segment.byteLength >= 6 && segment.getUint32(0) === 0x45786966;
  if (!isExif) return UPRIGHT;
  if (segment.byteLength < 14) return undefined;
  const tiff = new DataView(segment.buffer, segment.byteOffset + 6, segment.byteLength - 6);
  const little = tiff.getUint16(0) === 0x4949;
  const directory = tiff.getUint32(4, little);
  if (directory + 2 > tiff.byteLength) return undefined;
  const entries = tiff.getUint16(directory, little);
  if (directory + 2 + entries * 12 > tiff.byteLength) return undefined;
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    if (tiff.getUint16(entry, little) === ORIENTATION) return tiff.getUint16(entry + 8, little);
  }
  return UPRIGHT;
}
