// java.net.http with its defaults: it prefers HTTP/2, and asks for it with `Upgrade: h2c`.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

public class Client {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        var plan = new BufferedReader(new InputStreamReader(System.in));
        for (String line = plan.readLine(); line != null; line = plan.readLine()) {
            var fields = line.split("\t");
            System.out.println(fields[0] + "\t" + send(client, fields));
        }
    }

    static String send(HttpClient client, String[] fields) {
        try {
            var response = client.send(request(fields), BodyHandlers.ofString());
            return response.statusCode() + "\t" + response.body();
        } catch (Exception error) {
            return "0\t" + error;
        }
    }

    static HttpRequest request(String[] fields) throws Exception {
        // A GET with a body of no bytes has `Content-Length: 0`.
        var request = HttpRequest.newBuilder(URI.create(fields[2])).method(fields[1], body(fields[5]));
        if (!fields[3].equals("-")) request.header("Content-Type", fields[3]);
        if (!fields[4].equals("-")) request.header("Authorization", fields[4]);
        return request.build();
    }

    static BodyPublisher body(String file) throws Exception {
        return file.equals("-") ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(Files.readAllBytes(Path.of(file)));
    }
}
