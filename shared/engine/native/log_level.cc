// TensorFlow's C++ side logs through Abseil, which prints everything until the program says otherwise. Linked into
// the binding, runs when that is loaded. TF_CPP_MIN_LOG_LEVEL keeps its documented meaning (0 info, 1 warning,
// 2 error, 3 fatal); the default is 2.
#include <cstdlib>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"

namespace {

const bool set = [] {
  const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  const int least = level != nullptr && *level >= '0' && *level <= '3' ? *level - '0' : 2;
  absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(least));
  return true;
}();

}  // namespace
