"""Methods side by side: what a paper shows of its rivals, and what it asks people about them.

engines, photos -> compare -> report: pictures, times, distances -> page, table
                              report -> questions -> people -> answers -> shares, agreement

report.py       what a comparison leaves in its folder, read and written
compare.py      the run: engines and photos -> report
styles.py       methods and the styles they are asked for in -> columns
timing.py       times of engines that take turns
distance.py     pictures -> KID and FID of each method
figures.py      report -> figures for people, CSV
page.py         report -> index.html
questions.py    reports -> who is asked what, in which order
blind.py        the pictures of a question, alike in everything but what they show
answers.py      a file of answers, a line each
server.py       app.py on an address; app.py the questions over HTTP, page/ what people see
result.py       reports and answers -> shares and agreement
statistics.py   their formulas
"""
