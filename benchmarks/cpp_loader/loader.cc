// Loads an export through tensorflow::LoadSavedModel, as TensorFlow Serving does, draws
// cells and prints their codes.
//
//   loader <version folder> <rows>
//
// Row i is class i with seed i, temperature 1, top_p 1 and guidance 0. Each line is a
// name and numbers: load_seconds, first_request_seconds, later_request_seconds,
// top_codes, bottom_codes.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session.h"

namespace {

using Clock = std::chrono::steady_clock;
using Feeds = std::vector<std::pair<std::string, tensorflow::Tensor>>;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <typename T>
tensorflow::Tensor Column(tensorflow::DataType type, int rows, T first, T step) {
  tensorflow::Tensor column(type, tensorflow::TensorShape({rows}));
  auto values = column.vec<T>();
  for (int row = 0; row < rows; ++row) values(row) = first + static_cast<T>(row) * step;
  return column;
}

void PrintCodes(const std::string& name, const tensorflow::Tensor& codes) {
  std::cout << name;
  auto values = codes.flat<int32_t>();
  for (int64_t i = 0; i < values.size(); ++i) std::cout << ' ' << values(i);
  std::cout << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "expected: loader <version folder> <rows>\n";
    return 2;
  }
  const int rows = std::atoi(argv[2]);
  tensorflow::SavedModelBundle bundle;
  auto start = Clock::now();
  auto status = tensorflow::LoadSavedModel(tensorflow::SessionOptions(),
                                           tensorflow::RunOptions(), argv[1],
                                           {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status.ToString() << '\n';
    return 1;
  }
  std::cout << "load_seconds " << SecondsSince(start) << '\n';

  const auto& signature = bundle.GetSignatures().at("generate");
  const auto input = [&](const char* key) { return signature.inputs().at(key).name(); };
  const Feeds feeds = {
      {input("class_id"), Column<int32_t>(tensorflow::DT_INT32, rows, 0, 1)},
      {input("seed"), Column<int64_t>(tensorflow::DT_INT64, rows, 0, 1)},
      {input("temperature"), Column<float>(tensorflow::DT_FLOAT, rows, 1, 0)},
      {input("top_p"), Column<float>(tensorflow::DT_FLOAT, rows, 1, 0)},
      {input("guidance"), Column<float>(tensorflow::DT_FLOAT, rows, 0, 0)},
  };
  const std::vector<std::string> names = {"top_codes", "bottom_codes", "image"};
  std::vector<std::string> fetches;
  for (const auto& name : names) fetches.push_back(signature.outputs().at(name).name());

  std::vector<tensorflow::Tensor> outputs;
  for (const char* request : {"first", "later"}) {
    start = Clock::now();
    status = bundle.GetSession()->Run(feeds, fetches, {}, &outputs);
    if (!status.ok()) {
      std::cerr << status.ToString() << '\n';
      return 1;
    }
    std::cout << request << "_request_seconds " << SecondsSince(start) << '\n';
  }
  PrintCodes(names[0], outputs[0]);
  PrintCodes(names[1], outputs[1]);
  return 0;
}
