// Loads libtensorflow_cc without the line about oneDNN that it writes to stderr while it is being loaded, before
// anybody could have set a log level. With TF_CPP_MIN_LOG_LEVEL=0 the line is shown.
#include <dlfcn.h>
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>

#include <cstdlib>

#ifdef __APPLE__
const char* kTensorflow = "@rpath/libtensorflow_cc.2.dylib";
#else
const char* kTensorflow = "libtensorflow_cc.so.2";
#endif

NAPI_MODULE_INIT() {
  const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  if (level != nullptr && *level == '0') return exports;
  const int kept = dup(STDERR_FILENO);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (kept >= 0 && nowhere >= 0) {
    dup2(nowhere, STDERR_FILENO);
    // If this fails, so does loading the binding, which says why.
    dlopen(kTensorflow, RTLD_NOW | RTLD_LOCAL);
    dup2(kept, STDERR_FILENO);
  }
  if (kept >= 0) close(kept);
  if (nowhere >= 0) close(nowhere);
  return exports;
}
