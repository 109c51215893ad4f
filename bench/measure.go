package bench

import (
	"runtime"
	"slices"
	"time"
)

// A Sample is the cost of one operation, as the mean over a short run.
type Sample struct {
	CPU    float64 `json:"cpu_ns"` // of the whole process
	Wall   float64 `json:"wall_ns"`
	Allocs float64 `json:"allocs"`
	Bytes  float64 `json:"alloc_bytes"`
}

// Measure runs the rig n times. It collects garbage first, so that a run does
// not pay for garbage of an earlier one.
func (r *Rig) Measure(n int) Sample {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, wall := cpuTime(), time.Now()
	for range n {
		r.Do()
	}
	usedWall, usedCPU := time.Since(wall), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	per := func(total float64) float64 { return total / float64(n) }
	return Sample{
		CPU:    per(float64(usedCPU)),
		Wall:   per(float64(usedWall)),
		Allocs: per(float64(after.Mallocs - before.Mallocs)),
		Bytes:  per(float64(after.TotalAlloc - before.TotalAlloc)),
	}
}

// Runs returns how often the rig can run in about d of CPU time, at least once.
// It measures for d, because a shorter run might not include a garbage
// collection.
func (r *Rig) Runs(d time.Duration) int {
	for n := 16; ; n *= 2 {
		began := cpuTime()
		for range n {
			r.Do()
		}
		if took := cpuTime() - began; took >= d/2 {
			return max(1, int(float64(n)*float64(d)/float64(took)))
		}
	}
}

// Median returns the median of each figure. It panics without samples.
func Median(samples []Sample) Sample {
	of := func(figure func(Sample) float64) float64 {
		list := make([]float64, len(samples))
		for i, s := range samples {
			list[i] = figure(s)
		}
		slices.Sort(list)
		return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
	}
	return Sample{
		CPU:    of(func(s Sample) float64 { return s.CPU }),
		Wall:   of(func(s Sample) float64 { return s.Wall }),
		Allocs: of(func(s Sample) float64 { return s.Allocs }),
		Bytes:  of(func(s Sample) float64 { return s.Bytes }),
	}
}
