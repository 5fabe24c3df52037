// net/http with its default client.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	plan := bufio.NewScanner(os.Stdin)
	for plan.Scan() {
		fields := strings.Split(plan.Text(), "\t")
		status, body, err := send(fields)
		if err != nil {
			status, body = 0, []byte(err.Error())
		}
		fmt.Printf("%s\t%d\t%s\n", fields[0], status, body)
	}
}

func send(fields []string) (int, []byte, error) {
	request, err := request(fields)
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func request(fields []string) (*http.Request, error) {
	var body io.Reader
	if fields[5] != "-" {
		content, err := os.ReadFile(fields[5])
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(content)
	}
	request, err := http.NewRequest(fields[1], fields[2], body)
	for at, name := range map[int]string{3: "Content-Type", 4: "Authorization"} {
		if err == nil && fields[at] != "-" {
			request.Header.Set(name, fields[at])
		}
	}
	return request, err
}
