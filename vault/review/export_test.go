package review

// NewLimited returns the empty report with tables of so much room.
func NewLimited(p Period, limit int) *Report { return newReport(p, limit) }
