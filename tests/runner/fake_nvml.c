/* Answers as libnvidia-ml.so.1 would. FAKE_NVML holds: number of GPUs, energy in mJ added at each question, bytes held by
   FAKE_NVML_PID, and the code of every question but the first (0: success, 3: not supported). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct process { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };
static unsigned long long spent = 1000;

static void facts(unsigned *gpus, unsigned long long *step, unsigned long long *held, int *code) {
    *gpus = 1; *step = 0; *held = 0; *code = 0;
    const char *text = getenv("FAKE_NVML");
    if (text) sscanf(text, "%u %llu %llu %d", gpus, step, held, code);
}

int nvmlInit_v2(void) { return getenv("FAKE_NVML_NO_DRIVER") ? 9 : 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : code == 9 ? "Driver Not Loaded" : "Unknown Error"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    unsigned long long step, held; int code; facts(count, &step, &held, &code); return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(size_t)(index + 1); return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = (void *)(size_t)1; return strcmp(uuid, "GPU-1b2c") == 0 ? 0 : 6;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
    unsigned gpus; unsigned long long step, held; int code; facts(&gpus, &step, &held, &code);
    spent += step; *mj = spent; return code;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *found) {
    unsigned gpus; unsigned long long step, held; int code; facts(&gpus, &step, &held, &code);
    unsigned room = *count, listed = held ? 101 : 100;  /* more than the first guess of whoever asks */
    *count = listed;
    if (room < listed) return 7;
    for (unsigned i = 0; i < 100; i++) { found[i].pid = 1; found[i].used = 1; }
    if (held) { found[100].pid = (unsigned)atoi(getenv("FAKE_NVML_PID")); found[100].used = held; }
    return code;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 12040;
    return 0;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    snprintf(name, length, "NVIDIA Fake %u", (unsigned)(size_t)device); return 0;
}
