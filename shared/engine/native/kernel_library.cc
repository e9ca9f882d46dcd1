// Loads a library of operations into this process's TensorFlow: `load(path)` throws TensorFlow's message if it cannot.
// TensorFlow loads a path once, under a lock, and never unloads it, so every thread may ask.
#include <node_api.h>

#include <string>

#include "tensorflow/c/c_api.h"

namespace {

napi_value Load(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  size_t length = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, argument, nullptr, 0, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "load takes the path of a library");
    return nullptr;
  }
  std::string path(length, '\0');
  napi_get_value_string_utf8(env, argument, path.data(), length + 1, &length);
  TF_Status* status = TF_NewStatus();
  TF_Library* library = TF_LoadLibrary(path.c_str(), status);
  if (TF_GetCode(status) != TF_OK) napi_throw_error(env, nullptr, TF_Message(status));
  if (library != nullptr) TF_DeleteLibraryHandle(library);
  TF_DeleteStatus(status);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value load;
  napi_create_function(env, "load", NAPI_AUTO_LENGTH, Load, nullptr, &load);
  napi_set_named_property(env, exports, "load", load);
  return exports;
}
