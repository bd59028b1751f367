/* Stands in for libnvinfer_plugin, which TensorRT's Python binding looks for and TensorRT for RTX doesn't have. */

_Bool initLibNvInferPlugins(void *logger, const char *name_space) { return 1; }
