// What training views cost most, for JavaScript: part of a JPEG file is decoded, a box of a picture is resized, a batch
// is mixed. Each gives the same bytes on every CPU, and the same as shared/views does without this module: no step of
// the float32 arithmetic is fused or reordered (compiled with -ffp-contract=off).
//
// The decoder is the libjpeg-turbo inside TensorFlow, by the function that its DecodeAndCropJpeg calls.
#include <node_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tensorflow/core/lib/jpeg/jpeg_mem.h"

// Several versions of a loop, of which the CPU's best is taken as the module is loaded.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace {

constexpr int kChannels = 3;

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

/** Arguments of a call from JavaScript, read one after the other; `good` is false after one of another kind. */
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMost;
    good = napi_get_cb_info(env, info, &count, values_, nullptr, nullptr) == napi_ok;
  }

  Bytes bytes() {
    Bytes found;
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    good = good && napi_get_typedarray_info(env_, values_[next_++], &type, &found.length, &data, nullptr, nullptr) == napi_ok &&
           type == napi_uint8_array;
    found.data = static_cast<uint8_t*>(data);
    return found;
  }

  int number() {
    int32_t found = 0;
    good = good && napi_get_value_int32(env_, values_[next_++], &found) == napi_ok;
    return found;
  }

  float real() {
    double found = 0;
    good = good && napi_get_value_double(env_, values_[next_++], &found) == napi_ok;
    return static_cast<float>(found);
  }

  bool good = true;

 private:
  static constexpr size_t kMost = 12;
  napi_env env_;
  napi_value values_[kMost];
  size_t next_ = 0;
};

napi_value Refuse(napi_env env, const char* what) {
  napi_throw_range_error(env, nullptr, what);
  return nullptr;
}

/**
 * decode(jpeg, y, x, height, width, out): RGB of a box of the picture into the beginning of `out`; false if the
 * decoder has anything to say about the file, of which `out` then holds nothing of use.
 */
napi_value Decode(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  const Bytes jpeg = given.bytes();
  tensorflow::jpeg::UncompressFlags flags;
  flags.components = kChannels;
  flags.dct_method = JDCT_ISLOW;
  flags.crop = true;
  flags.crop_y = given.number();
  flags.crop_x = given.number();
  flags.crop_height = given.number();
  flags.crop_width = given.number();
  const Bytes out = given.bytes();
  if (!given.good || jpeg.length > INT32_MAX) return Refuse(env, "decode takes bytes, a box and bytes");
  int64_t warnings = 0;
  const auto room = [&](int width, int height, int channels) {
    const size_t needed = static_cast<size_t>(width) * height * channels;
    return channels == kChannels && needed <= out.length ? out.data : nullptr;
  };
  const uint8_t* pixels =
      tensorflow::jpeg::Uncompress(jpeg.data, static_cast<int>(jpeg.length), flags, &warnings, room);
  napi_value result;
  napi_get_boolean(env, pixels != nullptr && warnings == 0, &result);
  return result;
}

/** Where the outputs along one side read from: between two source pixels, `weight` of the way to the second. */
struct Taps {
  std::vector<int32_t> low, high;
  std::vector<float> weight;

  /** Half-pixel centres, each step in float32: resize.ts's fillTaps. */
  void Fill(int from, int to, int length, bool reversed) {
    low.resize(length);
    high.resize(length);
    weight.resize(length);
    const int copies = length / to;
    const float scale = static_cast<float>(static_cast<double>(from) / to);
    for (int i = 0; i < to; i++) {
      const float at = (i + 0.5f) * scale - 0.5f;
      const float floor = std::floor(at);
      const int slot = reversed ? to - 1 - i : i;
      for (int c = 0; c < copies; c++) {
        low[slot * copies + c] = std::max(static_cast<int>(floor), 0) * copies + c;
        high[slot * copies + c] = std::min(static_cast<int>(std::ceil(at)), from - 1) * copies + c;
        weight[slot * copies + c] = at - floor;
      }
    }
  }
};

FOR_EACH_CPU void ToFloats(const uint8_t* __restrict bytes, int count, float* __restrict floats) {
  for (int i = 0; i < count; i++) floats[i] = bytes[i];
}

FOR_EACH_CPU void Across(const float* __restrict row, const int32_t* __restrict low, const int32_t* __restrict high,
                         const float* __restrict weight, int count, float* __restrict out) {
  for (int i = 0; i < count; i++) {
    const float left = row[low[i]];
    out[i] = left + (row[high[i]] - left) * weight[i];
  }
}

FOR_EACH_CPU void Down(const float* __restrict top, const float* __restrict bottom, float weight, int count,
                       uint8_t* __restrict out) {
  for (int i = 0; i < count; i++)
    out[i] = static_cast<uint8_t>(static_cast<int32_t>(top[i] + (bottom[i] - top[i]) * weight));
}

/** A source row between whose pixels the outputs lie, kept for the next output row. */
struct Row {
  int number = -1;
  std::vector<float> values;
};

/**
 * resize(picture, pictureWidth, y, x, height, width, outHeight, outWidth, flip, out, offset): resize.ts's
 * resizeBilinear. Each source row is taken across once, however many output rows lie beside it.
 */
napi_value Resize(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  const Bytes picture = given.bytes();
  const int64_t picture_width = given.number();
  const int y = given.number(), x = given.number(), height = given.number(), width = given.number();
  const int out_height = given.number(), out_width = given.number();
  const bool flip = given.number() != 0;
  const Bytes out = given.bytes();
  const int64_t offset = given.number();
  if (!given.good) return Refuse(env, "resize takes bytes, nine numbers, bytes and a number");
  if (y < 0 || x < 0 || height < 1 || width < 1 || out_height < 1 || out_width < 1 || offset < 0 ||
      x + static_cast<int64_t>(width) > picture_width ||
      (y + static_cast<int64_t>(height)) * picture_width * kChannels > static_cast<int64_t>(picture.length) ||
      offset + static_cast<int64_t>(out_height) * out_width * kChannels > static_cast<int64_t>(out.length))
    return Refuse(env, "resize: the box is not inside the picture, or its view not inside the bytes");
  static thread_local Taps columns, rows;
  static thread_local std::vector<float> floats;
  static thread_local Row upper, lower;
  const int values = out_width * kChannels;
  columns.Fill(width, out_width, values, flip);
  rows.Fill(height, out_height, out_height, false);
  floats.resize(static_cast<size_t>(width) * kChannels);
  for (Row* row : {&upper, &lower}) {
    row->number = -1;
    row->values.resize(values);
  }
  const auto take = [&](Row& row, int number) {
    if (row.number == number) return;
    const uint8_t* source = picture.data + ((y + static_cast<int64_t>(number)) * picture_width + x) * kChannels;
    ToFloats(source, width * kChannels, floats.data());
    Across(floats.data(), columns.low.data(), columns.high.data(), columns.weight.data(), values, row.values.data());
    row.number = number;
  };
  for (int i = 0; i < out_height; i++) {
    if (lower.number == rows.low[i]) std::swap(upper, lower);
    take(upper, rows.low[i]);
    const bool same = rows.high[i] == rows.low[i];
    if (!same) take(lower, rows.high[i]);
    Down(upper.values.data(), (same ? upper : lower).values.data(), rows.weight[i], values,
         out.data + offset + static_cast<int64_t>(i) * values);
  }
  return nullptr;
}

FOR_EACH_CPU void MixOne(const uint8_t* __restrict own, const uint8_t* __restrict other, float share, float rest,
                         size_t count, uint8_t* __restrict out) {
  for (size_t i = 0; i < count; i++) {
    const float mixed = std::min(std::max(own[i] * share + other[i] * rest, 0.0f), 255.0f);
    // Adding 1.5 * 2^23 rounds half to even; the integer is then in the lowest bits.
    const float rounded = mixed + 12582912.0f;
    int32_t bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    out[i] = static_cast<uint8_t>(bits);
  }
}

/** mix(own, other, share, out): share * own + (1 - share) * other, rounded half to even. */
napi_value Mix(napi_env env, napi_callback_info info) {
  Arguments given(env, info);
  const Bytes own = given.bytes(), other = given.bytes();
  const float share = given.real();
  const Bytes out = given.bytes();
  if (!given.good || other.length != own.length || out.length != own.length)
    return Refuse(env, "mix takes bytes, as many bytes, a number and as many bytes");
  MixOne(own.data, other.data, share, 1.0f - share, own.length, out.data);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"decode", nullptr, Decode, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"resize", nullptr, Resize, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"mix", nullptr, Mix, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, 3, functions);
  return exports;
}
