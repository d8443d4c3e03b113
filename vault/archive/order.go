package archive

import (
	"iter"
	"runtime"
)

// inOrder does work for each number from 0 to below count, on all processors, and
// yields what came out in order. Only a few results at a time are ahead of the one
// that was yielded.
func inOrder[T any](count int64, work func(n int64) T) iter.Seq[T] {
	return func(yield func(T) bool) {
		ahead := min(count, 2*int64(runtime.GOMAXPROCS(0)))
		begun := make([]chan T, 0, ahead)
		begin := func(n int64) {
			result := make(chan T, 1) // work ends even if nobody waits for it any more
			go func() { result <- work(n) }()
			begun = append(begun, result)
		}
		for n := range ahead {
			begin(n)
		}
		for n := range count {
			result := <-begun[0]
			begun = begun[1:]
			if n+ahead < count {
				begin(n + ahead)
			}
			if !yield(result) {
				break
			}
		}
		for _, result := range begun {
			<-result
		}
	}
}
