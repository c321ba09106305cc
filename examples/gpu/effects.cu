// The effects on many sounds at once, by the formulas of their ``side_by_side`` (unmix/effects). Each
// thread renders one sound, whose samples lie one after the other. Made into a library by render.py:
// by nvcc for a GPU, or by a C++ compiler, for tests, where sounds are rendered in turn.

#include <math.h>

#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
DEVICE float sine_of_quarter_turns(float x) { return sinpif(0.5f * x); }
DEVICE float fast_log(float x) { return __logf(x); }
DEVICE float fast_exp(float x) { return __expf(x); }
#else
#define DEVICE inline
#define UNROLL
static inline float sine_of_quarter_turns(float x) { return sinf(1.57079633f * x); }
static inline float fast_log(float x) { return logf(x); }
static inline float fast_exp(float x) { return expf(x); }
#endif

enum { CHUNK = 8, PARAMS = 32, SECTIONS = 6, STAGES = 6, HOLD = 4, COMBS = 8, LINES = 12 };

// What is the same for all sounds; filled in by render.py from unmix.effects.
struct Constants {
    double crossover[4][5];  // low and high at the first, low and high at the second
    double detector_gain;
    float down_slope[3], fixed_db[3], up_slope, max_up_db, half_knee_db, power_floor;
    float log_span, lowest_angle;
    float input_gain, all_pass_gain;
    int delays[LINES];
};

struct Saturator {
    float drive, mix, gain;
    int curve;

    DEVICE void start(const float* p, const Constants&, float*, int) {
        drive = p[0], mix = p[1], gain = p[2], curve = (int)p[3];
    }
    DEVICE void run(float* x, const Constants&) {
        UNROLL for (int t = 0; t < CHUNK; t++) {
            float u = drive * x[t], clipped = fminf(fmaxf(u, -1.f), 1.f), w;
            if (curve == 0) w = tanhf(u);
            else if (curve == 1) w = sine_of_quarter_turns(clipped);
            else if (curve == 2) w = clipped;
            else w = sine_of_quarter_turns(u);
            x[t] = (1.f - mix) * x[t] + gain * w;
        }
    }
};

struct Equalizer {
    float c[SECTIONS][5], s[SECTIONS][2];

    DEVICE void start(const float* p, const Constants&, float*, int) {
        UNROLL for (int k = 0; k < SECTIONS; k++) {
            UNROLL for (int i = 0; i < 5; i++) c[k][i] = p[5 * k + i];
            s[k][0] = s[k][1] = 0.f;
        }
    }
    DEVICE void run(float* x, const Constants&) {
        UNROLL for (int t = 0; t < CHUNK; t++) {
            float u = x[t];
            UNROLL for (int k = 0; k < SECTIONS; k++) {
                float y = c[k][0] * u + s[k][0];
                s[k][0] = c[k][1] * u - c[k][3] * y + s[k][1];
                s[k][1] = c[k][2] * u - c[k][4] * y;
                u = y;
            }
            x[t] = u;
        }
    }
};

DEVICE double section(const double* c, double x, double* s) {
    double v = c[0] * x + s[0];
    s[0] = c[1] * x - c[3] * v + s[1];
    s[1] = c[2] * x - c[4] * v;
    return v;
}

DEVICE float knee(float excess_db, float half_db) {
    float inside = fminf(fmaxf(excess_db + half_db, 0.f), 2.f * half_db);
    return inside * inside / (4.f * half_db) + fmaxf(excess_db - half_db, 0.f);
}

struct OTT {
    float amount, above[3], below[3], attack[3], release[3];
    double s[9][2], env[3];

    DEVICE void start(const float* p, const Constants&, float*, int) {
        amount = p[0];
        UNROLL for (int b = 0; b < 3; b++) {
            above[b] = p[1 + b], below[b] = p[4 + b], attack[b] = p[7 + b], release[b] = p[10 + b];
            env[b] = 0;
        }
        UNROLL for (int k = 0; k < 9; k++) s[k][0] = s[k][1] = 0;
    }
    DEVICE void run(float* x, const Constants& k) {
        const double* first = k.crossover[0];
        double pass[5] = {k.crossover[2][4], k.crossover[2][3], 1.0, k.crossover[2][3],
                          k.crossover[2][4]};
        UNROLL for (int t = 0; t < CHUNK; t++) {
            double band[3], high = x[t];
            double low = section(first, section(first, x[t], s[0]), s[1]);
            band[0] = section(pass, low, s[2]);
            UNROLL for (int i = 3; i < 5; i++) high = section(k.crossover[1], high, s[i]);
            band[1] = band[2] = high;
            UNROLL for (int i = 5; i < 7; i++) band[1] = section(k.crossover[2], band[1], s[i]);
            UNROLL for (int i = 7; i < 9; i++) band[2] = section(k.crossover[3], band[2], s[i]);
            float sum = 0.f;
            UNROLL for (int b = 0; b < 3; b++) {
                float heard = (float)band[b];
                double rise = k.detector_gain * heard * heard - env[b];
                env[b] += rise * (rise > 0 ? attack[b] : release[b]);
                float level = 4.34294482f * fast_log((float)env[b] + k.power_floor);
                float law = fminf(k.up_slope * knee(below[b] - level, k.half_knee_db), k.max_up_db);
                law -= k.down_slope[b] * knee(level - above[b], k.half_knee_db);
                sum += heard * fast_exp(0.115129255f * amount * (k.fixed_db[b] + law));
            }
            x[t] = sum;
        }
    }
};

struct Phaser {
    float angle, step, depth, place, feedback, mix, s[STAGES + 1];

    DEVICE void start(const float* p, const Constants&, float*, int) {
        angle = p[0], step = p[1], depth = p[2], place = p[3], feedback = p[4], mix = p[5];
        UNROLL for (int i = 0; i <= STAGES; i++) s[i] = 0.f;
    }
    DEVICE void run(float* x, const Constants& k) {
        const float turn = 6.28318531f;
        float gain = 0.f;
        UNROLL for (int t = 0; t < CHUNK; t++) {
            if (t % HOLD == 0) {
                float at = fminf(fmaxf(place - depth * sinf(angle), 0.f), 1.f);
                float tangent = tanf(k.lowest_angle * expf(k.log_span * at));
                gain = tangent / (1.f + tangent);
                angle += step;
                if (angle >= turn) angle -= turn;
            }
            float y = x[t] - s[STAGES];
            UNROLL for (int i = 0; i < STAGES; i++) {
                float v = gain * (y - s[i]), low = v + s[i];
                y = low + low - y;
                s[i] = low + v;
            }
            s[STAGES] = y * feedback;
            x[t] += mix * (y - x[t]);
        }
    }
};

struct Reverb {
    float loop_gain, damping, wet, dry, low[COMBS];
    float* lines;  // (all delays, sounds): of this sound, ``width`` apart
    int width, place[LINES];

    DEVICE void start(const float* p, const Constants&, float* scratch, int sounds) {
        loop_gain = p[0], damping = p[1], wet = p[2], dry = p[3];
        lines = scratch, width = sounds;
        UNROLL for (int i = 0; i < COMBS; i++) low[i] = 0.f;
        UNROLL for (int i = 0; i < LINES; i++) place[i] = 0;
    }
    DEVICE void run(float* x, const Constants& k) {
        float leave[LINES][CHUNK], enter;
        int begin = 0;
        UNROLL for (int i = 0; i < LINES; i++) {
            UNROLL for (int t = 0; t < CHUNK; t++) {
                int at = place[i] + t;
                if (at >= k.delays[i]) at -= k.delays[i];
                leave[i][t] = lines[(long long)(begin + at) * width];
            }
            begin += k.delays[i];
        }
        float sum[CHUNK], sent[CHUNK];
        UNROLL for (int t = 0; t < CHUNK; t++) sum[t] = 0.f, sent[t] = k.input_gain * x[t];
        begin = 0;
        UNROLL for (int i = 0; i < LINES; i++) {
            UNROLL for (int t = 0; t < CHUNK; t++) {
                float out = leave[i][t];
                if (i < COMBS) {
                    sum[t] += out;
                    low[i] = out + damping * (low[i] - out);
                    enter = sent[t] + loop_gain * low[i];
                } else {
                    enter = sum[t] + k.all_pass_gain * out;
                    sum[t] = out - sum[t];
                }
                int at = place[i] + t;
                if (at >= k.delays[i]) at -= k.delays[i];
                lines[(long long)(begin + at) * width] = enter;
            }
            begin += k.delays[i];
            place[i] += CHUNK;
            if (place[i] >= k.delays[i]) place[i] -= k.delays[i];
        }
        UNROLL for (int t = 0; t < CHUNK; t++) x[t] = dry * x[t] + wet * sum[t];
    }
};

DEVICE void load(float* to, const float* from) {
#ifdef __CUDACC__
    UNROLL for (int i = 0; i < CHUNK; i += 4) {
        float4 four = *reinterpret_cast<const float4*>(from + i);
        to[i] = four.x, to[i + 1] = four.y, to[i + 2] = four.z, to[i + 3] = four.w;
    }
#else
    for (int i = 0; i < CHUNK; i++) to[i] = from[i];
#endif
}

DEVICE void store(float* to, const float* from) {
#ifdef __CUDACC__
    UNROLL for (int i = 0; i < CHUNK; i += 4)
        *reinterpret_cast<float4*>(to + i) =
            make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]);
#else
    for (int i = 0; i < CHUNK; i++) to[i] = from[i];
#endif
}

template <class Effect>
DEVICE void render(const float* x, float* y, const float* params, float* scratch, int sounds,
                   int samples, const Constants& constants) {
    Effect effect;
    effect.start(params, constants, scratch, sounds);
    float now[CHUNK], next[CHUNK];
    load(next, x);
    for (int t = 0; t < samples; t += CHUNK) {
        UNROLL for (int i = 0; i < CHUNK; i++) now[i] = next[i];
        if (t + CHUNK < samples) load(next, x + t + CHUNK);
        effect.run(now, constants);
        store(y + t, now);
    }
}

#ifdef __CUDACC__
template <class Effect>
__global__ void __launch_bounds__(32)
    kernel(float* audio, const long long* from, const long long* to, const float* params,
           float* scratch, int sounds, int samples, const Constants constants) {
    int n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n < sounds)
        render<Effect>(audio + from[n] * samples, audio + to[n] * samples, params + n * PARAMS,
                       scratch + n, sounds, samples, constants);
}
#endif

template <class Effect>
static int all(float* audio, const long long* from, const long long* to, const float* params,
               float* scratch, int sounds, int samples, const Constants* constants, void* stream) {
#ifdef __CUDACC__
    kernel<Effect><<<(sounds + 31) / 32, 32, 0, (cudaStream_t)stream>>>(
        audio, from, to, params, scratch, sounds, samples, *constants);
    return cudaGetLastError();
#else
    for (int n = 0; n < sounds; n++)
        render<Effect>(audio + from[n] * samples, audio + to[n] * samples, params + n * PARAMS,
                       scratch + n, sounds, samples, *constants);
    return 0;
#endif
}

// Sounds of ``audio`` (rows, samples), rows ``from``, through one effect into rows ``to``, which may
// be the same. ``params`` (sounds, PARAMS); ``scratch`` zeros (all delays, sounds), for a reverb.
#define EXPORT(name, Effect)                                                                      \
    extern "C" int name(float* audio, const long long* from, const long long* to,                \
                        const float* params, float* scratch, int sounds, int samples,            \
                        const Constants* constants, void* stream) {                              \
        return all<Effect>(audio, from, to, params, scratch, sounds, samples, constants, stream); \
    }
EXPORT(saturator, Saturator)
EXPORT(eq, Equalizer)
EXPORT(ott, OTT)
EXPORT(phaser, Phaser)
EXPORT(reverb, Reverb)
