/* Classifies images with an exported ticket, through TensorFlow's C API.
 *
 *     classify FOLDER IMAGES.npy INPUT LABEL PROBABILITY
 *
 * FOLDER is a SavedModel. IMAGES.npy is an array of any number of images, of the type that the model takes.
 * The others are tensors of its signature `classify`, as `saved_model_cli show` names them: the C API finds tensors
 * by name, and leaves signatures, which map names such as `label` to tensors, to a protobuf library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MOST_DIMS 8

static void fail(const char *what, const char *which) {
  fprintf(stderr, "Error: %s: %s\n", which, what);
  exit(EXIT_FAILURE);
}

static void check(TF_Status *status, const char *which) {
  if (TF_GetCode(status) != TF_OK) fail(TF_Message(status), which);
}

/* The tensor "operation:number". */
static TF_Output tensor(TF_Graph *graph, const char *name) {
  char operation[256];
  const char *colon = strrchr(name, ':');
  size_t length = colon ? (size_t)(colon - name) : 0;
  if (!length || length >= sizeof operation) fail("must name a tensor, such as input:0", name);
  memcpy(operation, name, length);
  operation[length] = '\0';
  TF_Output found = {TF_GraphOperationByName(graph, operation), atoi(colon + 1)};
  if (!found.oper || found.index < 0 || found.index >= TF_OperationNumOutputs(found.oper)) {
    fail("the model has no such tensor", name);
  }
  return found;
}

/* How many bytes of numbers an .npy file holds from where it is then: behind a header that says `type`. */
static size_t enter(FILE *file, const char *path, TF_DataType type) {
  unsigned char start[10]; /* a magic word, the version, and the length of the header, lower byte first */
  char header[1024] = {0};
  if (fread(start, 1, sizeof start, file) != sizeof start || memcmp(start, "\x93NUMPY\x01", 7)) {
    fail("must be an .npy file of version 1", path);
  }
  size_t length = start[8] + 256u * start[9];
  if (length >= sizeof header || fread(header, 1, length, file) != length) fail("has no header to read", path);
  const char *expected = type == TF_FLOAT ? "'<f4'" : type == TF_UINT8 ? "'|u1'" : "of another type";
  if (!strstr(header, expected)) fail(type == TF_FLOAT ? "must hold float32" : "must hold uint8", path);
  if (!strstr(header, "'fortran_order': False")) fail("must be in C order", path);
  if (fseek(file, 0, SEEK_END)) fail("cannot be read", path);
  long size = ftell(file) - (long)(sizeof start + length);
  if (size < 1 || fseek(file, (long)(sizeof start + length), SEEK_SET)) fail("holds nothing", path);
  return (size_t)size;
}

/* All images of a file as the tensor that `input` takes. */
static TF_Tensor *read_images(TF_Graph *graph, TF_Output input, const char *path, TF_Status *status) {
  int64_t dims[MOST_DIMS] = {0};
  int count = TF_GraphGetTensorNumDims(graph, input, status);
  check(status, "shape of the input");
  if (count < 1 || count > MOST_DIMS) fail("the input is no batch of images", path);
  TF_GraphGetTensorShape(graph, input, dims, count, status);
  check(status, "shape of the input");

  TF_DataType type = TF_OperationOutputType(input);
  size_t image = TF_DataTypeSize(type);
  for (int i = 1; i < count; ++i) {
    if (dims[i] < 1) fail("the model leaves open how large an image is", path);
    image *= (size_t)dims[i];
  }
  FILE *file = fopen(path, "rb");
  if (!file) fail("cannot be opened", path);
  size_t size = enter(file, path, type);
  if (!image || size % image) fail("holds images of another size", path);
  dims[0] = (int64_t)(size / image); /* the batch size, which the model leaves open */
  TF_Tensor *images = TF_AllocateTensor(type, dims, count, size);
  if (!images || fread(TF_TensorData(images), 1, size, file) != size) fail("cannot be read", path);
  fclose(file);
  return images;
}

int main(int count, char **arguments) {
  if (count != 6) {
    fprintf(stderr, "Usage: classify FOLDER IMAGES.npy INPUT LABEL PROBABILITY\n");
    return 2;
  }
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, NULL, status);
  check(status, arguments[1]);

  TF_Output input = tensor(graph, arguments[3]);
  TF_Output wanted[] = {tensor(graph, arguments[4]), tensor(graph, arguments[5])};
  if (TF_OperationOutputType(wanted[0]) != TF_STRING) fail("labels must be text", arguments[4]);
  if (TF_OperationOutputType(wanted[1]) != TF_FLOAT) fail("probabilities must be float", arguments[5]);
  TF_Tensor *images = read_images(graph, input, arguments[2], status);
  TF_Tensor *made[] = {NULL, NULL};
  TF_SessionRun(session, NULL, &input, &images, 1, wanted, made, 2, NULL, 0, NULL, status);
  check(status, arguments[2]);

  const TF_TString *labels = TF_TensorData(made[0]);
  const float *probabilities = TF_TensorData(made[1]);
  for (int64_t i = 0; i < TF_Dim(images, 0); ++i) {
    printf("%.*s %.4f\n", (int)TF_StringGetSize(&labels[i]), TF_StringGetDataPointer(&labels[i]), probabilities[i]);
  }

  TF_DeleteTensor(made[0]);
  TF_DeleteTensor(made[1]);
  TF_DeleteTensor(images);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return EXIT_SUCCESS;
}
