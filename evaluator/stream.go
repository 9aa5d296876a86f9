package evaluator
func (p *pass) readAhead() {}
